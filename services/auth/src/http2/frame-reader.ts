import { FRAME_HEAD_BYTES, MAX_FRAME_BYTES, PREFACE, protocolError, wrongSize } from './protocol.ts'

/** What stands before a frame's payload, but for its length. */
export interface FrameHead {
  readonly type: number
  readonly flags: number
  readonly streamId: number
}

/** Takes a frame whose payload lies from `start` to `end`. The bytes stay as they are for as long as somebody holds them. */
export type TakeFrame = (bytes: Buffer, head: FrameHead, start: number, end: number) => void

/**
 * Finds the frames in what comes in, in whatever pieces, after the preface. A frame in one piece is never copied; one in
 * many is copied once, so that whoever sends byte by byte costs no more than that.
 */
export class FrameReader {
  readonly #take: TakeFrame
  // The same object for every frame: nobody keeps it.
  readonly #frame = { type: 0, flags: 0, streamId: 0 }
  #prefaceLeft = PREFACE.length
  #partial = NOTHING
  #filled = 0

  constructor(take: TakeFrame) {
    this.#take = take
  }

  /** Whether the peer has said that it speaks HTTP/2. */
  get isBegun(): boolean {
    return this.#prefaceLeft === 0
  }

  /** Takes what has come in. Throws a ConnectionError where it is no HTTP/2, and whatever the taker throws. */
  push(piece: Buffer): void {
    let at = this.#prefaceLeft > 0 ? this.#readPreface(piece) : 0
    while (at < piece.length) {
      if (this.#filled > 0) at = this.#continue(piece, at)
      else {
        const end = piece.length - at < FRAME_HEAD_BYTES ? piece.length + 1 : endOfFrame(piece, at)
        if (end <= piece.length) this.#tell(piece, at, end)
        else this.#begin(piece, at)
        at = Math.min(end, piece.length)
      }
    }
  }

  #readPreface(piece: Buffer): number {
    const length = Math.min(this.#prefaceLeft, piece.length)
    const from = PREFACE.length - this.#prefaceLeft
    if (PREFACE.compare(piece, 0, length, from, from + length) !== 0) {
      throw protocolError('this is no HTTP/2')
    }
    this.#prefaceLeft -= length
    return length
  }

  #begin(piece: Buffer, at: number): void {
    this.#filled = piece.length - at
    const whole = this.#filled < FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES : endOfFrame(piece, at) - at
    this.#partial = Buffer.allocUnsafeSlow(whole)
    this.#partial.set(piece.subarray(at))
  }

  /** Fills up what has begun; says where the piece goes on after it. */
  #continue(piece: Buffer, from: number): number {
    const next = Math.min(piece.length, from + this.#partial.length - this.#filled)
    this.#partial.set(piece.subarray(from, next), this.#filled)
    this.#filled += next - from
    if (this.#filled < this.#partial.length) return next
    const whole = endOfFrame(this.#partial, 0)
    if (this.#filled < whole) {
      const head = this.#partial
      this.#partial = Buffer.allocUnsafeSlow(whole)
      this.#partial.set(head)
      return next
    }
    const frame = this.#partial
    this.#filled = 0
    this.#partial = NOTHING
    this.#tell(frame, 0, whole)
    return next
  }

  #tell(bytes: Buffer, at: number, end: number): void {
    const frame = this.#frame
    frame.type = bytes[at + 3] as number
    frame.flags = bytes[at + 4] as number
    frame.streamId = uint31(bytes, at + 5)
    this.#take(bytes, frame, at + FRAME_HEAD_BYTES, end)
  }
}

/** Reads 31 bits; the one before them is reserved, and says nothing. */
export const uint31 = (bytes: Buffer, at: number): number =>
  (((bytes[at] as number) & 0x7f) << 24) |
  ((bytes[at + 1] as number) << 16) |
  ((bytes[at + 2] as number) << 8) |
  (bytes[at + 3] as number)

function endOfFrame(bytes: Buffer, at: number): number {
  const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
  if (length > MAX_FRAME_BYTES) throw wrongSize('a frame')
  return at + FRAME_HEAD_BYTES + length
}

const NOTHING = Buffer.alloc(0)
