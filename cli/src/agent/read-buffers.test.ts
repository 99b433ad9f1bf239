import { describe, expect, it } from 'vitest'
import { ReadBuffers } from './read-buffers.ts'

describe('read buffers', () => {
  it('never give the same bytes twice', () => {
    const buffers = new ReadBuffers()
    const given: Buffer[] = []
    for (let n = 0; n < 5000; n++) {
      const buffer = buffers.next()
      const bytes = Math.min(buffer.length, 1 + ((n * 7919) % 9000))
      const piece = buffer.subarray(0, bytes).fill(n % 251)
      given.push(piece)
      buffers.filled(bytes)
    }
    for (const [n, piece] of given.entries()) expect(piece.every((byte) => byte === n % 251)).toBe(true)
  })

  it('grow to one data frame for who fills them, and are small again for who does not', () => {
    const buffers = new ReadBuffers()
    expect(buffers.next().length).toBe(16 * 1024)
    buffers.filled(16 * 1024)
    expect(buffers.next().length).toBe(256 * 1024)
    buffers.filled(256 * 1024)
    expect(buffers.next().length).toBe(256 * 1024)
    for (let n = 0; n < 300; n++) {
      buffers.next()
      buffers.filled(1000)
    }
    expect(buffers.next().length).toBeLessThanOrEqual(16 * 1024)
  })
})
