/** What became of a request. */
export interface Visit {
  readonly method: string
  readonly path: string
  /** What the visitor was answered; undefined where it, or the tunnel, went before that. */
  readonly status: number | undefined
  /** From the request's arrival to the answer's last byte; of an upgrade, to its head. */
  readonly ms: number
  /** Of the answer's body. */
  readonly bytes: number
  /** Why there was no answer, or no whole one. */
  readonly fault?: string
}

/** The fault of a visit that the visitor, or the tunnel, ended. */
export const CANCELLED = 'cancelled'

/** A request while it is being answered; told once, when that is over. */
export class OpenVisit {
  readonly method: string
  readonly #path: string
  readonly #report: (visit: Visit) => void
  readonly #startedAt = performance.now()
  /** Of the answer, once there is one. */
  status: number | undefined
  bytes = 0
  over = false

  constructor({ method, path }: { method: string; path: string }, report: (visit: Visit) => void) {
    this.method = method
    this.#path = path
    this.#report = report
  }

  /** It is over: answered, or with a fault. The relay answers for a local server that did not. */
  close(fault?: string): void {
    if (this.over) return
    this.over = true
    const { method, bytes } = this
    const status = this.status ?? (fault === CANCELLED ? undefined : 502)
    const visit = { method, path: this.#path, status, ms: performance.now() - this.#startedAt, bytes }
    this.#report(fault === undefined ? visit : { ...visit, fault })
  }
}
