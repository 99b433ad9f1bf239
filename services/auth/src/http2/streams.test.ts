import { describe, expect, it } from 'vitest'
import { Http2Stream } from './stream.ts'
import { MAX_STREAMS, Streams } from './streams.ts'

const head = {
  method: 'POST',
  path: '/',
  contentType: undefined,
  grpcTimeout: undefined,
  contentLength: undefined,
}
const carrier = { answer() {}, reset() {} }
const open = (streams: Streams, id: number) => {
  const stream = new Http2Stream(id, head, carrier)
  streams.lastId = id
  streams.add(stream)
  return stream
}

describe('Streams', () => {
  it('finds what is open, and nothing where something was', () => {
    const streams = new Streams()
    const first = open(streams, 1)
    open(streams, 7)
    expect(streams.find(1)).toBe(first)
    // Numbers that were passed over are closed (§5.1.1).
    expect(streams.find(3)).toBeUndefined()
    streams.remove(1)
    expect(streams.find(1)).toBeUndefined()
    expect(streams.size).toBe(1)
  })

  it.each([0, 2, 9, 2 ** 31 - 1])('knows of no stream %i that there could be (§5.1)', (id) => {
    const streams = new Streams()
    open(streams, 7)
    expect(() => streams.find(id)).toThrow(expect.objectContaining({ name: 'ConnectionError', code: 1 }))
  })

  it('remembers what was broken off for as many as there may be at a time', () => {
    const streams = new Streams()
    const lastId = 2 * MAX_STREAMS - 1
    for (let id = 1; id <= lastId; id += 2) open(streams, id)
    for (let id = 1; id <= lastId; id += 2) streams.breakOff(id)
    expect(streams.size).toBe(0)
    expect([1, lastId].map((id) => streams.wasBrokenOff(id))).toEqual([true, true])
    expect([0, 2, lastId + 2].map((id) => streams.wasBrokenOff(id))).toEqual([false, false, false])
  })

  it('forgets the oldest of them, however many there are', () => {
    const streams = new Streams()
    for (let id = 1; id < 20_000; id += 2) streams.breakOff(id)
    expect([1, 19_999].map((id) => streams.wasBrokenOff(id))).toEqual([false, true])
  })
})
