import { addressSubject } from '@instatunnel/kit/client-address'
import { rateLimited } from '@instatunnel/kit/rate'
import type { Refusal } from '@instatunnel/kit/refusal'
import type { SlidingWindows } from './domain/sliding-window.ts'
import { invalidLimit } from './domain/window-bounds.ts'

/** The way to what only a look-up can tell: whether a credential that is not known is one at all. */
export interface UnknownLane {
  /**
   * Looks up for a caller from this address, undefined where another service asks. Rejects with LaneFull where too many
   * wrong credentials came from there, and others are looked up already.
   */
  lookUp<T>(address: string | undefined, begin: () => Promise<T>): Promise<T>
}

/** Why nothing was looked up; `refusal` is what the caller is told. */
export class LaneFull extends Error {
  override readonly name = 'LaneFull'
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.message)
    this.refusal = refusal
  }
}

// So much room all addresses together have from which too many wrong credentials came. Whoever guesses gets no further
// through than this; whoever shares an address with a guesser still gets through, and then is known.
const WIDTH = 4

/** Creates the lane. `windows` are those that wrong credentials are counted in. */
export function createUnknownLane(options: {
  windows: Pick<SlidingWindows, 'look'>
  limits: { readonly auth: number }
  now: () => Date
}): UnknownLane {
  const { windows, limits, now } = options
  let inLane = 0
  return {
    async lookUp(address, begin) {
      if (address === undefined) return begin()
      const rate = await windows.look(`invalid:${addressSubject(address)}`, invalidLimit(limits), now())
      if (rate.admitted) return begin()
      if (inLane >= WIDTH) throw new LaneFull(rateLimited(rate))
      inLane++
      try {
        return await begin()
      } finally {
        inLane--
      }
    },
  }
}
