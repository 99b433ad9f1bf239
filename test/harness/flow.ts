import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { crc32 } from 'node:zlib'

/** What a body was: its length, and a checksum that no lost, repeated or misplaced piece leaves as it is. */
export interface Sum {
  readonly bytes: number
  readonly crc32: number
}

/** A body on its way. */
export interface Flow {
  /** How much of it has passed so far. */
  readonly bytes: number
  /** Resolves at its end; rejects where it breaks off. */
  readonly whole: Promise<Sum>
}

/** A body that is read at the test's pace. */
export interface Intake extends Flow {
  /** Reads at least so much more, and then nothing until the next call. */
  read(bytes: number): Promise<void>
  /** Reads the rest as fast as it comes. */
  rest(): Promise<Sum>
}

const PIECE_BYTES = 256 * 1024
const noise = randomBytes(4 * 1024 * 1024)
// Neighbouring pieces begin elsewhere in the noise, and so are different.
const piece = (index: number, bytes: number) => {
  const from = (index * 65_537) % (noise.length - PIECE_BYTES)
  return noise.subarray(from, from + bytes)
}

const EMPTY: Sum = { bytes: 0, crc32: 0 }
const plus = (sum: Sum, chunk: Buffer): Sum => ({
  bytes: sum.bytes + chunk.length,
  crc32: crc32(chunk, sum.crc32),
})

/** Writes a body of so many bytes, made on the way, no faster than it is taken; and ends with it. */
export function pour(to: Writable, bytes: number): Flow {
  let sum = EMPTY
  const write = async (): Promise<Sum> => {
    const gone = once(to, 'close').then(() => Promise.reject(new Error(`broken off after ${sum.bytes}`)))
    gone.catch(() => {}) // where the body is whole, its end is no fault
    to.on('error', () => {})
    for (let index = 0; sum.bytes < bytes; index++) {
      const next = piece(index, Math.min(PIECE_BYTES, bytes - sum.bytes))
      const isTaken = to.write(next)
      sum = plus(sum, next)
      if (!isTaken) await Promise.race([once(to, 'drain'), gone])
    }
    to.end()
    return sum
  }
  const whole = write()
  whole.catch(() => {}) // whoever waits for it hears of it
  return {
    get bytes() {
      return sum.bytes
    },
    whole,
  }
}

/** Takes a body in; nothing is kept of it but its sum. Nothing is read before read() or rest() asks for it. */
export function take(from: Readable): Intake {
  let sum = EMPTY
  let stopAt = 0
  let stopped = () => {}
  const over = Promise.withResolvers<Sum>()
  over.promise.catch(() => {}) // whoever waits for it hears of it
  from.on('data', (chunk: Buffer) => {
    sum = plus(sum, chunk)
    if (sum.bytes < stopAt) return
    from.pause()
    stopped()
  })
  from.on('end', () => over.resolve(sum))
  from.on('error', over.reject)
  from.on('close', () => over.reject(new Error(`broken off after ${sum.bytes}`)))
  from.pause()
  return {
    get bytes() {
      return sum.bytes
    },
    whole: over.promise,
    async read(bytes) {
      stopAt = sum.bytes + bytes
      const enough = new Promise<void>((resolve) => {
        stopped = resolve
      })
      from.resume()
      await Promise.race([enough, over.promise])
    },
    rest() {
      stopAt = Number.POSITIVE_INFINITY
      from.resume()
      return over.promise
    },
  }
}

/** Resolves once a body has not moved for so long: whoever sends it is held back. */
export async function stuck(flow: Pick<Flow, 'bytes'>, forMs = 500): Promise<number> {
  for (;;) {
    const before = flow.bytes
    await delay(forMs)
    if (flow.bytes === before) return before
  }
}
