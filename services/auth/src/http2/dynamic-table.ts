import type { HeaderField } from './hpack-decoder.ts'

/** The fields that a peer has added, of which the oldest are dropped for want of room (RFC 7541 §2.3.2 and §4). */
export class DynamicTable {
  /** How many times something was added, or its size set. */
  changes = 0
  /** A ring: what is added and what is dropped moves nothing. */
  readonly #ring: HeaderField[]
  readonly #mask: number
  #newest = 0
  #count = 0
  #bytes = 0
  /** What the fields may cost together, as the peer has it, which is no more than allowed. */
  #limit: number

  constructor(maxBytes: number) {
    this.#limit = Math.min(maxBytes, INITIAL_BYTES)
    const slots = 2 ** Math.ceil(Math.log2(Math.max(1, maxBytes / FIELD_BYTES)))
    this.#ring = new Array<HeaderField>(slots).fill(NONE)
    this.#mask = slots - 1
  }

  /** What was added so many fields ago: 0 is the newest. */
  at(age: number): HeaderField | undefined {
    return age < this.#count ? this.#ring[(this.#newest - age) & this.#mask] : undefined
  }

  /** A field that is larger than the table empties it, and is no error (RFC 7541 §4.4). */
  add(field: HeaderField): void {
    this.changes++
    const bytes = costOf(field)
    this.#evict(bytes)
    if (bytes > this.#limit) return
    this.#newest = (this.#newest + 1) & this.#mask
    this.#ring[this.#newest] = field
    this.#count++
    this.#bytes += bytes
  }

  resize(limit: number): void {
    this.changes++
    this.#limit = limit
    this.#evict(0)
  }

  /** Drops the oldest until there is so much room, or nothing left. */
  #evict(room: number): void {
    while (this.#count > 0 && this.#bytes + room > this.#limit) {
      const oldest = (this.#newest - --this.#count) & this.#mask
      this.#bytes -= costOf(this.#ring[oldest] as HeaderField)
      this.#ring[oldest] = NONE
    }
  }
}

/** What a field costs in a table (RFC 7541 §4.1), and in a list of them (RFC 9113 §6.5.2). */
export const costOf = ({ name, value }: HeaderField): number => name.length + value.length + FIELD_BYTES

const FIELD_BYTES = 32
// How large a table is until the peer says otherwise.
const INITIAL_BYTES = 4096
const NONE: HeaderField = { name: '', value: '' }
