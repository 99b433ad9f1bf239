import { describe, expect, it } from 'vitest'
import {
  asking,
  block,
  credit,
  data,
  type Fields,
  frame,
  goaway,
  headers,
  lastData,
  opening,
  ping,
  pingAck,
  request,
  reset,
  settings,
} from '../../test/http2-frames.ts'
import { type Random, randomOf } from '../../test/random.ts'
import { GREETING } from '../../test/raw-http2.ts'
import { greeted, type Http2Serving, servingHttp2, talkingTo } from '../../test/serve-http2.ts'
import {
  ConnectionError,
  FRAME_HEAD_BYTES,
  frameFlag,
  frameType,
  MAX_FRAME_BYTES,
  setting,
} from './protocol.ts'

const oneOf = <T>(random: Random, list: readonly T[]) => list[random(list.length)] as T

/** Literals that the table keeps. */
const kept = (fields: Fields) =>
  Buffer.concat(fields.map((field) => Buffer.concat([Buffer.of(0x40), block([field]).subarray(1)])))

/** What a client may say, as frames: requests of all kinds, and what else there is. */
function conversation(random: Random): Buffer[] {
  const frames: Buffer[] = []
  let id = 1
  for (let count = 4 + random(12); count > 0; count--, id += 2 + 2 * random(2)) {
    const path = oneOf(random, ['/echo', '/later', '/head', '/early', '/bytes/10', '/bytes/40000'])
    const asked = block([...asking(path), ['x', 'y'.repeat(random(50))]])
    const cut = random(asked.length)
    const content = Buffer.alloc(random(3000), 1)
    frames.push(
      ...oneOf(random, [
        [request(id, path)],
        [opening(id, path), data(id, content), lastData(id, content)],
        [opening(id, path, [['content-length', String(content.length)]]), data(id), lastData(id, content)],
        [
          opening(id, path),
          data(id, content),
          headers(id, [['a', 'b']], frameFlag.END_HEADERS | frameFlag.END_STREAM),
        ],
        [opening(id, path), credit(id, 1 + random(1000)), reset(id, random(20))],
        [
          frame(frameType.HEADERS, frameFlag.END_STREAM, id, asked.subarray(0, cut)),
          frame(frameType.CONTINUATION, frameFlag.END_HEADERS, id, asked.subarray(cut)),
        ],
        [frame(frameType.HEADERS, frameFlag.END_HEADERS | frameFlag.END_STREAM, id, kept(asking(path)))],
        [opening(id, path), frame(frameType.DATA, frameFlag.PADDED, id, Buffer.alloc(20, 9))],
      ]),
    )
    frames.push(
      ...oneOf(random, [
        [ping(Buffer.alloc(8, random(256)))],
        [pingAck(Buffer.alloc(8))],
        [settings([oneOf(random, Object.values(setting)), oneOf(random, [0, 1, 16_384, 65_535])])],
        [credit(0, 1 + random(100_000))],
        [goaway(0)],
        [frame(frameType.PRIORITY, 0, id, Buffer.alloc(5))],
        [frame(0x20 + random(200), random(256), random(20), Buffer.alloc(random(100)))],
        [],
      ]),
    )
  }
  return frames
}

const MUTATIONS: Readonly<Record<string, (random: Random, frames: Buffer[], other: Buffer[]) => Buffer>> = {
  nothing: (_, frames) => Buffer.concat(frames),
  'bits that flip'(random, frames) {
    const bytes = Buffer.concat(frames)
    for (let count = 1 + random(8); count > 0; count--) {
      const at = random(bytes.length)
      bytes[at] = (bytes[at] as number) ^ (1 << random(8))
    }
    return bytes
  },
  'bits that flip in heads of frames'(random, frames) {
    for (let count = 1 + random(4); count > 0; count--) {
      const one = oneOf(random, frames)
      const at = random(FRAME_HEAD_BYTES)
      one[at] = (one[at] as number) ^ (1 << random(8))
    }
    return Buffer.concat(frames)
  },
  'frames in another order'(random, frames) {
    for (let count = 1 + random(5); count > 0; count--) {
      const [one] = frames.splice(random(frames.length), 1)
      if (one) frames.splice(random(frames.length + 1), 0, one)
    }
    return Buffer.concat(frames)
  },
  'frames that are said twice or not at all'(random, frames) {
    return Buffer.concat(frames.flatMap((one) => oneOf(random, [[one], [one], [one], [one, one], []])))
  },
  'an end before it is over'(random, frames) {
    const bytes = Buffer.concat(frames)
    return bytes.subarray(0, random(bytes.length))
  },
  'bytes that are left out'(random, frames) {
    const bytes = Buffer.concat(frames)
    const at = random(bytes.length)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(20))])
  },
  'a piece of another conversation'(random, frames, other) {
    const bytes = Buffer.concat(frames)
    const foreign = Buffer.concat(other)
    const at = random(bytes.length)
    const from = random(foreign.length)
    return Buffer.concat([
      bytes.subarray(0, at),
      foreign.subarray(from, from + random(200)),
      bytes.subarray(at),
    ])
  },
  'noise in frames'(random, frames) {
    const noise = (length: number) => Buffer.from(Array.from({ length }, () => random(256)))
    return Buffer.concat(
      frames.flatMap((one) =>
        random(6) ? [one] : [one, frame(random(12), random(256), random(30), noise(random(60)))],
      ),
    )
  },
}

/** Says this in pieces of any size. */
function sayInPieces(random: Random, bytes: Buffer, say: (piece: Buffer) => void): void {
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random(oneOf(random, [10, 500, 2 * MAX_FRAME_BYTES]))
    say(bytes.subarray(at, end))
    at = end
  }
}

// What follows half a frame is part of it; after these, all that follows is understood.
const FRAMED = new Set([
  'nothing',
  'frames in another order',
  'frames that are said twice or not at all',
  'noise in frames',
])

/** Says this to a server on a connection of its own, and ends it: whether the server had ended it by itself. */
async function outcomeOf(
  server: Http2Serving,
  random: Random,
  said: Buffer,
  isFramed: boolean,
): Promise<string> {
  const peer = await talkingTo(server, GREETING)
  sayInPieces(random, said, (piece) => peer.say(piece))
  if (random(4) === 0) server.connections.at(-1)?.close()
  // It is answered, or ended: nothing hangs.
  const frames = isFramed ? await peer.heard() : []
  peer.socket.end()
  await server.until(() => server.closes() === server.connections.length)
  frames.push(...peer.take())
  expect(server.asked.filter(({ isClosed, state }) => !isClosed || state?.closed !== 1)).toEqual([])
  const isRefused = frames.some(({ type, payload }) => type === 'GOAWAY' && payload.readUInt32BE(4) > 0)
  return isRefused ? 'refused' : 'taken'
}

describe('a conversation that goes wrong', () => {
  const SEEDS = 60

  it.each(Object.entries(MUTATIONS))('by %s ends at most itself', async (name, mutate) => {
    const server = await servingHttp2()
    const outcomes = new Set<string>()
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = randomOf(seed)
      const said = mutate(random, conversation(random), conversation(random))
      outcomes.add(await outcomeOf(server, random, said, FRAMED.has(name)))
    }
    // What it is told is RFC 9113's own word: nothing here is a fault of ours.
    expect(server.errors.filter((error) => !(error instanceof ConnectionError || isOfSocket(error)))).toEqual(
      [],
    )
    // Not all is so wrong that nothing comes of it, and not all is right.
    expect(server.asked.length).toBeGreaterThan(SEEDS)
    expect(outcomes.has('taken')).toBe(true)
    if (name !== 'nothing' && name !== 'an end before it is over') expect(outcomes.has('refused')).toBe(true)
    const peer = await greeted(server)
    peer.say(request(1))
    expect(await peer.verdict()).toBe('nothing')
  })
})

/** A peer that leaves while it is answered. */
const isOfSocket = (error: Error) => 'code' in error && ['EPIPE', 'ECONNRESET'].includes(String(error.code))
