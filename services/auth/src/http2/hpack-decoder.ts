import { costOf, DynamicTable } from './dynamic-table.ts'
import { huffmanText } from './huffman.ts'
import { staticTable } from './static-table.ts'

/** A header field; those that come from a table are the same object each time. */
export interface HeaderField {
  readonly name: string
  readonly value: string
}

/** Why a block cannot be decoded: the connection's compression state is lost (RFC 9113 §4.3: COMPRESSION_ERROR). */
export class HpackError extends Error {
  override readonly name = 'HpackError'
}

/**
 * Decodes the header blocks of one connection, in the order in which they come (RFC 7541). They may be hostile: whatever
 * their bytes, it takes time in proportion to them, and keeps no more than its table.
 */
export class HpackDecoder {
  readonly #maxTableBytes: number
  readonly #maxListBytes: number
  readonly #maxFields: number
  readonly #table: DynamicTable
  #at = 0

  constructor({
    maxTableBytes = 4096,
    maxListBytes = 16_384,
    maxFields = 64,
  }: {
    /** Our SETTINGS_HEADER_TABLE_SIZE. */
    maxTableBytes?: number
    /** The most that a list may take: names, values, and 32 for each field (RFC 9113 §6.5.2). */
    maxListBytes?: number
    /** The most fields that a list may have. */
    maxFields?: number
  } = {}) {
    this.#maxTableBytes = maxTableBytes
    this.#maxListBytes = maxListBytes
    this.#maxFields = maxFields
    this.#table = new DynamicTable(maxTableBytes)
  }

  /** How often the table has changed: as long as it has not, the same bytes are the same fields. */
  get changes(): number {
    return this.#table.changes
  }

  /**
   * Decodes the whole block bytes[start,end), and adds its fields to `into`, in order. Returns false where the list is
   * longer than allowed: the rest is not added, yet decoded, so that the table stays right. Throws HpackError for what is
   * no HPACK; nothing that follows can be decoded then.
   */
  decode(bytes: Buffer, start: number, end: number, into: HeaderField[]): boolean {
    const most = into.length + this.#maxFields
    let bytesLeft = this.#maxListBytes
    let fits = true
    this.#at = start
    this.#resize(bytes, end)
    while (this.#at < end) {
      const field = this.#field(bytes, end)
      bytesLeft -= costOf(field)
      if (bytesLeft >= 0 && into.length < most) into.push(field)
      else fits = false
    }
    return fits
  }

  /** The changes of the table's size, which stand before all fields (RFC 7541 §4.2). */
  #resize(bytes: Buffer, end: number): void {
    while (this.#at < end && (bytes[this.#at] as number) >> 5 === 1) {
      const limit = this.#integer(bytes, end, 0x1f)
      if (limit > this.#maxTableBytes) throw new HpackError('a table that is larger than allowed')
      this.#table.resize(limit)
    }
  }

  #field(bytes: Buffer, end: number): HeaderField {
    const first = bytes[this.#at] as number
    if (first >= 0x80) return this.#indexed(this.#integer(bytes, end, 0x7f))
    if (first >= 0x40) {
      const field = this.#literal(bytes, end, 0x3f)
      this.#table.add(field)
      return field
    }
    if (first >= 0x20) throw new HpackError('a change of the table’s size after a field')
    return this.#literal(bytes, end, 0x0f)
  }

  #indexed(index: number): HeaderField {
    const age = index - staticTable.length - 1
    const field = age < 0 ? staticTable[index - 1] : this.#table.at(age)
    if (field === undefined) throw new HpackError('an index that no field has')
    return field
  }

  #literal(bytes: Buffer, end: number, prefix: number): HeaderField {
    const index = this.#integer(bytes, end, prefix)
    const name = index === 0 ? this.#text(bytes, end) : this.#indexed(index).name
    return { name, value: this.#text(bytes, end) }
  }

  /** A string, copied: what it came in is not kept. */
  #text(bytes: Buffer, end: number): string {
    const huffman = this.#at < end && (bytes[this.#at] as number) >= 0x80
    const length = this.#integer(bytes, end, 0x7f)
    if (length > end - this.#at) throw truncated()
    const start = this.#at
    this.#at += length
    if (!huffman) return bytes.toString('latin1', start, this.#at)
    const text = huffmanText(bytes, start, this.#at)
    if (text === undefined) throw new HpackError('a string that is not in the Huffman code')
    return text
  }

  /** An integer of which a prefix of the first byte is the beginning (RFC 7541 §5.1); in at most four bytes more. */
  #integer(bytes: Buffer, end: number, prefix: number): number {
    if (this.#at >= end) throw truncated()
    let value = (bytes[this.#at++] as number) & prefix
    if (value < prefix) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= end) throw truncated()
      const byte = bytes[this.#at++] as number
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new HpackError('an integer that is too large')
  }
}

const truncated = () => new HpackError('a block that ends within a field')
