import { randomBytes, randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { framed, Gathering, MAX_MESSAGE_BYTES } from './grpc-frame.ts'

/** What a call's pieces come to. */
function gathered(...pieces: Uint8Array[]): Buffer {
  const gathering = new Gathering()
  for (const piece of pieces) gathering.add(Buffer.from(piece))
  return gathering.message()
}

const refusing = (reason: string) => expect.objectContaining({ reason })

describe('framed', () => {
  it('puts no compression and the length before a message', () => {
    expect([...framed(Buffer.from('abc'))]).toEqual([0, 0, 0, 0, 3, 97, 98, 99])
    expect([...framed(Buffer.alloc(70_000)).subarray(0, 5)]).toEqual([0, 0, 1, 17, 112])
  })
})

describe('Gathering', () => {
  it('gives the message back, in whatever pieces it comes', () => {
    for (let round = 0; round < 300; round++) {
      const message = randomBytes(randomInt(3000))
      let rest = framed(message)
      const pieces: Buffer[] = []
      while (rest.length > 0) {
        const length = randomInt(0, 1 + Math.min(rest.length, round + 1))
        pieces.push(rest.subarray(0, length))
        rest = rest.subarray(length)
      }
      expect(gathered(...pieces).equals(message)).toBe(true)
    }
  })

  it('takes the longest message byte by byte without copying it for each', () => {
    const frame = framed(randomBytes(MAX_MESSAGE_BYTES))
    const begun = process.cpuUsage()
    const gathering = new Gathering()
    for (const byte of frame) gathering.add(Buffer.of(byte))
    expect(gathering.message().equals(frame.subarray(5))).toBe(true)
    expect(process.cpuUsage(begun).user).toBeLessThan(2_000_000)
  })

  it('refuses compression, at the first byte that tells', () => {
    for (const flag of [1, 2, 255]) {
      const gathering = new Gathering()
      expect(() => gathering.add(Buffer.from([flag, 0, 0, 0, 0]))).toThrow(refusing('MESSAGE_COMPRESSED'))
    }
  })

  it('refuses a message that is too long by its prefix alone', () => {
    const gathering = new Gathering()
    const prefix = framed(Buffer.alloc(MAX_MESSAGE_BYTES + 1)).subarray(0, 5)
    gathering.add(prefix.subarray(0, 4))
    expect(() => gathering.add(prefix.subarray(4))).toThrow(refusing('MESSAGE_TOO_LONG'))
    expect(() => new Gathering().add(Buffer.from([0, 255, 255, 255, 255]))).toThrow(
      refusing('MESSAGE_TOO_LONG'),
    )
  })

  it('refuses none, half of one, and two', () => {
    const frame = framed(Buffer.from('abc'))
    const unreadable = refusing('UNREADABLE_REQUEST')
    expect(() => gathered()).toThrow(unreadable)
    for (let length = 0; length < frame.length; length++) {
      expect(() => gathered(frame.subarray(0, length))).toThrow(unreadable)
    }
    expect(() => gathered(frame, frame)).toThrow(unreadable)
    expect(() => gathered(Buffer.concat([frame, Buffer.of(0)]))).toThrow(unreadable)
  })
})
