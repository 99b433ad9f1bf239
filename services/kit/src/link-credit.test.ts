import { describe, expect, it } from 'vitest'
import { credit, frame, linkAndBytes, linkPair, opened } from '../test/links.ts'
import { MAX_DATA_BYTES, RESET, WINDOW_BYTES } from './frames.ts'

const PIECE = Buffer.alloc(64 * 1024, 'x')

/** Sends until no more is to be sent; how many bytes that was. */
function sendAll({ stream }: ReturnType<typeof opened>): number {
  let sent = 0
  do sent += PIECE.length
  while (stream.send(PIECE))
  return sent
}

describe('credit', () => {
  it('holds a sender back after one window, until what it sent was consumed', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener, 'POST\n/', { end: false })
    await expect.poll(() => taker.taken.length).toBe(1)
    const [taken] = taker.taken
    if (taken) taken.holds = true
    expect(sendAll(request)).toBe(WINDOW_BYTES)
    await expect.poll(() => taken?.bytes).toBe(WINDOW_BYTES)
    expect(request.writables).toBe(0)
    taken?.stream.consumed(WINDOW_BYTES / 4 - 1)
    taken?.stream.consumed(1)
    await expect.poll(() => request.writables).toBe(1)
    expect(sendAll(request)).toBe(WINDOW_BYTES / 4)
    await expect.poll(() => taken?.bytes).toBe(WINDOW_BYTES * 1.25)
  })

  it('is given back once a heartbeat at least, behind the end too: so a body is seen to move', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener, 'POST\n/', { end: false })
    const credits: number[] = []
    request.stream.sink.credited = (bytes) => credits.push(bytes)
    await expect.poll(() => taker.taken.length).toBe(1)
    const taken = taker.taken[0] as (typeof taker.taken)[number]
    taken.holds = true
    request.stream.send(Buffer.alloc(3000), true)
    await expect.poll(() => taken.bytes).toBe(3000)
    const { stream } = taken
    for (const beat of [1, 2]) {
      stream.consumed(500)
      stream.consumed(500)
      await expect.poll(() => stream.link.beats, { timeout: 5000 }).toBe(beat)
    }
    stream.consumed(1)
    await expect.poll(() => credits.length).toBe(2)
    expect(stream.idleBeats).toBe(0)
  })

  it('is of each stream by itself', async () => {
    const { opener, taker } = linkPair()
    const stuck = opened(opener, 'POST\n/stuck', { end: false })
    const free = opened(opener, 'POST\n/free', { end: false })
    await expect.poll(() => taker.taken.length).toBe(2)
    if (taker.taken[0]) taker.taken[0].holds = true
    sendAll(stuck)
    for (let sent = 0; sent < 4; sent++) {
      const before = free.writables
      sendAll(free)
      await expect.poll(() => free.writables).toBe(before + 1)
    }
    expect([taker.taken[0]?.bytes, stuck.writables]).toEqual([WINDOW_BYTES, 0])
  })

  it('never lets more be held than a window and one frame, whatever the pieces', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener, 'POST\n/', { end: false })
    await expect.poll(() => taker.taken.length).toBe(1)
    const [taken] = taker.taken
    if (taken) taken.holds = true
    request.stream.send(Buffer.alloc(WINDOW_BYTES - 1))
    expect(request.stream.send(Buffer.alloc(MAX_DATA_BYTES))).toBe(false)
    await expect.poll(() => taken?.bytes).toBe(WINDOW_BYTES - 1 + MAX_DATA_BYTES)
    taken?.stream.consumed(MAX_DATA_BYTES - 1)
    await expect.poll(() => request.stream.credit).toBe(0)
    expect(request.writables).toBe(0)
    taken?.stream.consumed(WINDOW_BYTES)
    await expect.poll(() => request.writables).toBe(1)
    expect(request.stream.credit).toBe(WINDOW_BYTES)
  })

  it('is given back in quarters, and not for a direction that has ended', async () => {
    const side = linkAndBytes({ takes: true })
    side.other.write(frame('open', 1, 'POST\n/'))
    side.other.write(frame('data', 1, PIECE))
    side.other.write(frame('data', 1, PIECE))
    await expect.poll(() => side.taken[0]?.bytes).toBe(2 * PIECE.length)
    await expect.poll(() => side.frames).toEqual([`6 1 \0\x02\0\0`])
    side.other.write(frame('data', 1, PIECE))
    side.other.write(frame('data', 1, PIECE, true))
    side.other.write(frame('ping', 0, '12345678'))
    await expect.poll(() => side.frames.at(-1)).toBe('7 0 12345678 end')
    expect(side.frames).toHaveLength(2)
  })

  it('that is overdrawn ends the link, and only that one', async () => {
    const side = linkAndBytes({ takes: true })
    const others = linkPair()
    const request = opened(others.opener)
    await expect.poll(() => others.taker.taken.length).toBe(1)
    side.other.write(frame('open', 1, 'POST\n/'))
    await expect.poll(() => side.taken.length).toBe(1)
    if (side.taken[0]) side.taken[0].holds = true
    const most = Buffer.alloc(MAX_DATA_BYTES)
    for (let sent = 0; sent < WINDOW_BYTES + MAX_DATA_BYTES; sent += most.length)
      side.other.write(frame('data', 1, most))
    await expect.poll(() => side.taken[0]?.bytes).toBe(WINDOW_BYTES + MAX_DATA_BYTES)
    expect(side.ends).toEqual([])
    side.other.write(frame('data', 1, 'x'))
    await expect.poll(() => side.ends).toEqual(['protocol_error'])
    await expect.poll(() => side.frames).toEqual(['8 0 protocol_error'])
    expect(side.taken[0]?.told).toEqual([`reset ${RESET.lost} `])
    others.taker.taken[0]?.stream.head('200\nOK', true)
    await expect.poll(() => request.told).toEqual(['head 200\nOK end'])
  })

  it.each([1, WINDOW_BYTES, 0xffffffff])('is never more than a window: %i bytes too many', async (bytes) => {
    const side = linkAndBytes()
    opened(side, 'POST\n/', { end: false })
    side.other.write(frame('window', 1, credit(bytes)))
    await expect.poll(() => side.ends).toEqual(['protocol_error'])
  })

  it.each(['', 'abc'])('is told in four bytes, not as %j', async (payload) => {
    const side = linkAndBytes()
    opened(side, 'POST\n/', { end: false })
    side.other.write(frame('window', 1, payload))
    await expect.poll(() => side.ends).toEqual(['protocol_error'])
  })

  it('may be given to the last byte of what was spent', async () => {
    const side = linkAndBytes()
    const request = opened(side, 'POST\n/', { end: false })
    request.stream.send(Buffer.alloc(5))
    side.other.write(frame('window', 1, credit(5)))
    side.other.write(frame('ping', 0, '12345678'))
    await expect.poll(() => side.frames.at(-1)).toBe('7 0 12345678 end')
    expect([side.ends, request.stream.credit]).toEqual([[], WINDOW_BYTES])
  })
})
