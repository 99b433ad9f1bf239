import { Duplex } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { frame, linkAndBytes, linkPair, opened, Recorder, sideOf } from '../test/links.ts'
import { RESET } from './frames.ts'

const BEAT_MS = 1600

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

/** Lets what is under way on a connection arrive. */
const arrive = async () => {
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
}

/** So many heartbeats, each with time to arrive. */
async function beats(count: number) {
  for (let beat = 0; beat < count; beat++) {
    vi.advanceTimersByTime(BEAT_MS)
    await arrive()
  }
}

describe('heartbeats', () => {
  it('keep an idle link alive, and tell how long the other side takes', async () => {
    const { opener, taker } = linkPair()
    await beats(100)
    expect([opener.ends, taker.ends]).toEqual([[], []])
    expect([opener.pongs.length, taker.pongs.length]).toEqual([100, 100])
    expect(opener.link.waitingBytes).toBe(0)
  })

  it('end a link whose other side says nothing for 8 s', async () => {
    const side = linkAndBytes()
    const request = opened(side)
    side.other.write(frame('ping', 0, '12345678'))
    await arrive()
    await beats(4)
    expect(side.ends).toEqual([])
    await beats(1)
    expect(side.ends).toEqual(['lost'])
    expect(request.told).toEqual([`reset ${RESET.lost} `])
    expect(side.own.destroyed).toBe(true)
  })

  it('go by whatever is heard, answers to pings or not', async () => {
    const side = linkAndBytes()
    for (let n = 0; n < 20; n++) {
      await beats(3)
      side.other.write(frame('ping', 0, '12345678', true))
      await arrive()
    }
    expect([side.ends, side.pongs]).toEqual([[], []])
  })

  it('measure each ping by its own answer, however late that comes', async () => {
    const side = linkAndBytes()
    const pings = () => side.frames.filter((text) => text.startsWith('7 '))
    await beats(2)
    const [first = '', second = ''] = pings().map((text) => text.slice(4))
    vi.advanceTimersByTime(100)
    side.other.write(frame('ping', 0, first, true))
    side.other.write(frame('ping', 0, second, true))
    side.other.write(frame('ping', 0, second, true))
    await arrive()
    expect(side.pongs).toEqual([1700, 100])
  })
})

/** A connection's end that takes what it is given only when it is told to, in one go, as sockets do. */
function stuckSocket() {
  const waiting: (() => void)[] = []
  const written: Buffer[] = []
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk)
      waiting.push(done)
    },
    writev(chunks, done) {
      written.push(...chunks.map(({ chunk }) => chunk as Buffer))
      waiting.push(done)
    },
  })
  return { socket, written, take: () => waiting.shift()?.() }
}

describe('a socket that does not drain', () => {
  const PIECE = Buffer.alloc(400 * 1024)

  /** A link that has more to send than such a socket takes. */
  function congested() {
    const stuck = stuckSocket()
    const side = sideOf(stuck.socket)
    side.link.ping()
    const requests = Array.from({ length: 3 }, () => opened(side, 'POST\n/', { end: false }))
    const more = requests.map(({ stream }) => stream.send(PIECE))
    const beatsWith = async (count: number, answer: Buffer) => {
      for (let beat = 0; beat < count; beat++) {
        stuck.socket.push(answer)
        await arrive()
        await beats(1)
      }
    }
    return { ...stuck, ...side, requests, more, beatsWith }
  }
  const theirPing = frame('ping', 0, '12345678')
  const unaskedPong = frame('ping', 0, '12345678', true)

  it('holds every stream back past 1 MiB, and lets all go on when it has drained', async () => {
    const { requests, more, take, link } = congested()
    expect(more).toEqual([true, true, false])
    expect(requests[0]?.stream.send(Buffer.alloc(0))).toBe(false)
    await arrive()
    expect(requests.map(({ writables }) => writables)).toEqual([0, 0, 0])
    for (let writes = 0; writes < 3; writes++) {
      take()
      await arrive()
    }
    expect(requests.map(({ writables }) => writables)).toEqual([1, 0, 1])
    expect(link.waitingBytes).toBe(0)
  })

  it('and takes nothing for 32 s ends its link, although the other side is alive', async () => {
    const { requests, ends, socket, beatsWith } = congested()
    await arrive()
    await beatsWith(19, theirPing)
    expect(ends).toEqual([])
    await beatsWith(1, theirPing)
    expect(ends).toEqual(['stalled'])
    for (const { told } of requests) expect(told).toEqual([`reset ${RESET.lost} `])
    expect(socket.destroyed).toBe(true)
  })

  it('but is slow is given its time, for the other side answers what it has got to', async () => {
    const { socket, written, ends, pongs, beatsWith } = congested()
    await arrive()
    await beatsWith(19, unaskedPong)
    const ours = Buffer.concat(written).subarray(8, 16)
    socket.push(frame('ping', 0, ours, true))
    await arrive()
    await beatsWith(19, unaskedPong)
    expect([ends, pongs.length]).toEqual([[], 1])
    await beatsWith(1, frame('ping', 0, ours, true))
    expect(ends).toEqual(['stalled'])
  })

  it('is not filled with answers to pings', async () => {
    const { socket, link, ends } = congested()
    await arrive()
    const before = link.waitingBytes
    socket.push(Buffer.concat(Array.from({ length: 900 }, () => theirPing)))
    await arrive()
    expect(link.waitingBytes - before).toBe(32 * 16)
    expect(ends).toEqual([])
  })

  it.each([
    ['pings', theirPing],
    ['pongs', unaskedPong],
  ])('ends where %s come without end', async (_, bytes) => {
    const stuck = stuckSocket()
    const { link, ends } = sideOf(stuck.socket)
    stuck.socket.push(Buffer.concat(Array.from({ length: 1001 }, () => bytes)))
    await arrive()
    expect(link.waitingBytes).toBeLessThan(32 * 1024)
    expect(ends).toEqual(['protocol_error'])
  })

  it('takes no more requests than it can send', async () => {
    const side = sideOf(stuckSocket().socket)
    const head = `GET\n/${'x'.repeat(60_000)}`
    let taken = 0
    while (side.link.open(head, true, new Recorder())) taken++
    expect(side.link.isFull).toBe(true)
    expect(taken).toBeLessThan(100)
  })
})
