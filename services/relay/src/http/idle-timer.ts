/** Fires once nothing has moved for a time. */
export class IdleTimer {
  readonly #onIdle: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(onIdle: () => void) {
    this.#onIdle = onIdle
  }

  /** Waits this many milliseconds from now on; 0 for ever. */
  start(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = ms > 0 ? setTimeout(this.#onIdle, ms) : undefined
  }

  /** Something has moved: where it waits, it waits anew. */
  moved(): void {
    this.#timer?.refresh()
  }

  stop(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
