import { Refusal } from '@instatunnel/kit/refusal'

/**
 * Goes through the bytes of a protobuf message, front to back, and refuses what is none: varints without an end, lengths
 * beyond the message that they are in, groups, the field 0. The message may be a hostile one; nothing is guessed.
 */
export class MessageReader {
  at = 0
  readonly #bytes: Buffer
  #keyStart = 0
  #keyEnd = 0
  #valueStart = 0
  #valueEnd = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** A field's number and wire type, as they stand before it. */
  tag(end: number): number {
    const tag = this.#varint32(end)
    if (tag < 8) throw unreadable()
    return tag
  }

  /** Where what follows ends, which begins with its length; the reader stands at its first byte then. */
  endOfNext(end: number): number {
    const length = this.#varint32(end)
    if (length > end - this.at) throw unreadable()
    return this.at + length
  }

  /** A text. */
  text(end: number): string {
    const stop = this.endOfNext(end)
    const text = this.#bytes.toString('utf8', this.at, stop)
    this.at = stop
    return text
  }

  /** An entry of a map from text to text, for keyIs and value. */
  entry(end: number): void {
    const stop = this.endOfNext(end)
    this.#keyStart = this.#keyEnd = this.#valueStart = this.#valueEnd = stop
    while (this.at < stop) {
      const tag = this.tag(stop)
      if (tag === KEY) {
        this.#keyEnd = this.endOfNext(stop)
        this.#keyStart = this.at
        this.at = this.#keyEnd
      } else if (tag === VALUE) {
        this.#valueEnd = this.endOfNext(stop)
        this.#valueStart = this.at
        this.at = this.#valueEnd
      } else this.skip(tag, stop)
    }
  }

  /** Whether the last entry's key is this one. */
  keyIs(name: Buffer): boolean {
    const { length } = name
    if (this.#keyEnd - this.#keyStart !== length) return false
    for (let index = 0; index < length; index++) {
      if (this.#bytes[this.#keyStart + index] !== name[index]) return false
    }
    return true
  }

  /** The last entry's value. */
  value(): string {
    return this.#bytes.toString('utf8', this.#valueStart, this.#valueEnd)
  }

  /** Passes over a field that nobody asked for. */
  skip(tag: number, end: number): void {
    const wireType = tag & 7
    if (wireType === VARINT) this.#skipVarint(end)
    else if (wireType === DELIMITED) this.at = this.endOfNext(end)
    else if (wireType === FIXED64) this.#skipBytes(8, end)
    else if (wireType === FIXED32) this.#skipBytes(4, end)
    else throw unreadable()
  }

  /** A tag or a length: at most 32 bits, in five bytes at most. */
  #varint32(end: number): number {
    let value = 0
    for (let power = 1; power <= 2 ** 28; power *= 128) {
      const byte = this.#next(end)
      value += (byte & 127) * power
      if (byte < 128) {
        if (value > 0xffff_ffff) break
        return value
      }
    }
    throw unreadable()
  }

  #skipVarint(end: number): void {
    for (let bytes = 0; bytes < 10; bytes++) if (this.#next(end) < 128) return
    throw unreadable()
  }

  #skipBytes(count: number, end: number): void {
    this.at += count
    if (this.at > end) throw unreadable()
  }

  #next(end: number): number {
    if (this.at >= end) throw unreadable()
    return this.#bytes[this.at++] as number
  }
}

/** Wire types. */
const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5

/** Tags of a map's entry. */
const KEY = 10
const VALUE = 18

const unreadable = () => new Refusal('UNREADABLE_REQUEST', 'The request is not a message of this rpc')
