import { ConnectionError, errorCode } from './protocol.ts'

/** How many frames that ask for nothing a peer may send at once: ten for each stream that it may have open. */
export const MOST_FREE_FRAMES = 10_000
// A request has a few frames of that kind at most (credits, its reset), and may be followed by others' for nothing.
const FREE_PER_REQUEST = 16
// Envoy pings every 5 s.
const FREE_PER_SECOND = 100

/**
 * Bounds what a peer can have done without asking for anything: SETTINGS, PING, PRIORITY, credits, resets, empty DATA.
 * Each is cheap and needs no stream, so that a peer could send them without end (CVE-2019-9511 to 9518, CVE-2023-44487).
 */
export class FrameBudget {
  readonly #now: () => number
  #left = MOST_FREE_FRAMES
  #filledAt: number

  /** `now` is in milliseconds, and never goes back. */
  constructor(now: () => number) {
    this.#now = now
    this.#filledAt = now()
  }

  /** A request has begun. */
  earn(): void {
    this.#left = Math.min(MOST_FREE_FRAMES, this.#left + FREE_PER_REQUEST)
  }

  /** Spends as much as this work costs, in frames. Throws a ConnectionError where the peer has spent it all. */
  spend(frames: number): void {
    this.#left -= frames
    if (this.#left < 0) this.#refill()
  }

  // The clock is read only where the rest is spent: as a rule, never.
  #refill(): void {
    const now = this.#now()
    const earned = Math.min(MOST_FREE_FRAMES, ((now - this.#filledAt) / 1000) * FREE_PER_SECOND)
    this.#left += earned
    this.#filledAt = now
    if (this.#left < 0) {
      throw new ConnectionError(errorCode.ENHANCE_YOUR_CALM, 'the peer sends frames that ask for nothing')
    }
  }
}
