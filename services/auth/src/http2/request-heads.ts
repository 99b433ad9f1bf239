import { type HeaderField, HpackDecoder, HpackError } from './hpack-decoder.ts'
import { ConnectionError, errorCode } from './protocol.ts'
import { areTrailers, type RequestHead, readRequestHead } from './request-head.ts'

/** What the fields of one message may come to: with names, values and 32 bytes each (RFC 9113 §6.5.2). */
export const MAX_LIST_BYTES = 16 * 1024
const MAX_FIELDS = 64

/** What a block of a request comes to, where it is no head. */
export type NoHead = 'malformed' | 'too long'

/** Reads the heads of requests on one connection. */
export class RequestHeads {
  readonly #decoder = new HpackDecoder({ maxListBytes: MAX_LIST_BYTES, maxFields: MAX_FIELDS })
  // A gateway asks in the same words over and over: the same bytes say the same while the table is the same.
  #last = NOTHING
  #lastTable = -1
  #lastHead: RequestHead | NoHead = 'malformed'

  /** The head of a request. Throws where the connection has lost its table. */
  read(bytes: Buffer, start: number, end: number): RequestHead | NoHead {
    if (this.#isLast(bytes, start, end)) return this.#lastHead
    const before = this.#decoder.changes
    const head = this.#readNew(bytes, start, end)
    if (this.#decoder.changes === before) {
      this.#last = Buffer.from(bytes.subarray(start, end))
      this.#lastTable = before
      this.#lastHead = head
    }
    return head
  }

  /** Whether these are trailers as they may be. Throws as `read` does. */
  readTrailers(bytes: Buffer, start: number, end: number): boolean {
    const fields: HeaderField[] = []
    return this.#decode(bytes, start, end, fields) && areTrailers(fields)
  }

  #readNew(bytes: Buffer, start: number, end: number): RequestHead | NoHead {
    const fields: HeaderField[] = []
    if (!this.#decode(bytes, start, end, fields)) return 'too long'
    return readRequestHead(fields) ?? 'malformed'
  }

  #decode(bytes: Buffer, start: number, end: number, fields: HeaderField[]): boolean {
    try {
      return this.#decoder.decode(bytes, start, end, fields)
    } catch (error) {
      if (!(error instanceof HpackError)) throw error
      throw new ConnectionError(errorCode.COMPRESSION_ERROR, error.message)
    }
  }

  #isLast(bytes: Buffer, start: number, end: number): boolean {
    const last = this.#last
    if (this.#decoder.changes !== this.#lastTable || last.length !== end - start) return false
    for (let index = 0; index < last.length; index++) if (last[index] !== bytes[start + index]) return false
    return true
  }
}

const NOTHING = Buffer.alloc(0)
