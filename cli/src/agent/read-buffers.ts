// Most answers are small, and most sockets idle: they need not hold much.
const SMALL_BYTES = 16 * 1024
// As much as one data frame carries: what is read at once may be sent at once.
const LARGE_BYTES = 256 * 1024

/**
 * What a socket reads into. Nothing is read over, so that whoever was given a piece may keep it without a copy; a
 * socket that fills its buffer gets a larger one, which halves the reads of a large body.
 */
export class ReadBuffers {
  #block = Buffer.alloc(0)
  #at = 0
  #size = SMALL_BYTES

  /** Where the next read may go. */
  next(): Buffer {
    if (this.#block.length - this.#at < this.#size / 4) {
      this.#block = Buffer.allocUnsafeSlow(this.#size)
      this.#at = 0
    }
    return this.#block.subarray(this.#at)
  }

  /** So many bytes were read into what next() gave. */
  filled(bytes: number): void {
    if (this.#at + bytes === this.#block.length) this.#size = LARGE_BYTES
    else if (bytes < SMALL_BYTES / 4) this.#size = SMALL_BYTES
    this.#at += (bytes + 7) & ~7
  }
}
