import { ConnectionError, errorCode } from './protocol.ts'

// What is too long to be answered is read all the same, for the table's sake, but not without end (CVE-2024-27316).
const MAX_BLOCK_BYTES = 64 * 1024
const MAX_BLOCK_FRAMES = 32

/** A header block that comes in more frames than one: while it does, no other frame may come. */
export class HeaderGathering {
  readonly streamId: number
  readonly endsStream: boolean
  readonly #parts: Buffer[] = []
  #bytes = 0

  constructor(streamId: number, endsStream: boolean) {
    this.streamId = streamId
    this.endsStream = endsStream
  }

  add(part: Buffer): void {
    this.#bytes += part.length
    this.#parts.push(part)
    if (this.#bytes > MAX_BLOCK_BYTES || this.#parts.length > MAX_BLOCK_FRAMES) {
      throw new ConnectionError(errorCode.ENHANCE_YOUR_CALM, 'headers have no end')
    }
  }

  block(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
