import { addressSubject, networkOf } from '@instatunnel/kit/client-address'
import { rateLimited } from '@instatunnel/kit/rate'
import type { Refusal } from '@instatunnel/kit/refusal'
import type { SlidingWindows } from './domain/sliding-window.ts'
import { invalidLimit } from './domain/window-bounds.ts'

/** The way to what only a look-up can tell: whether a credential that is not known is one at all. */
export interface UnknownLane {
  /**
   * Looks up for a caller from this address, undefined where another service asks. Where too many wrong credentials came
   * from there it waits its turn, and rejects with LaneFull where that address, or its network, has its share of the lane.
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

// How many are looked up at once for all addresses together from which too many wrong credentials came. Whoever guesses gets
// no further through than this; whoever shares an address with a guesser still gets through, and then is known.
const WIDTH = 4
// How many places of the lane, under way or waiting, an address has, and its neighbours together (IPv4 /24, IPv6 /48): those
// who guess keep nobody at another address waiting for longer than a moment.
const ADDRESS_SHARE = 4
const NETWORK_SHARE = 16
const MAX_PLACES = 512

/** Creates the lane. `windows` are those that wrong credentials are counted in. */
export function createUnknownLane(options: {
  windows: Pick<SlidingWindows, 'look'>
  limits: { readonly auth: number }
  now: () => Date
}): UnknownLane {
  const { windows, limits, now } = options
  /** How many places each address and each network has. */
  const places = new Map<string, number>()
  const waiting: (() => void)[] = []
  let taken = 0
  let underWay = 0

  const count = (subject: string, more: 1 | -1) => {
    const held = (places.get(subject) ?? 0) + more
    if (held === 0) places.delete(subject)
    else places.set(subject, held)
  }
  const hasPlace = (address: string, network: string) =>
    taken < MAX_PLACES &&
    (places.get(address) ?? 0) < ADDRESS_SHARE &&
    (places.get(network) ?? 0) < NETWORK_SHARE
  /** Resolves when fewer than WIDTH are looked up; whoever came first goes first. */
  const turn = async () => {
    if (underWay < WIDTH) underWay++
    else await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const leave = () => {
    const next = waiting.shift()
    if (next) next()
    else underWay--
  }

  return {
    async lookUp(address, begin) {
      if (address === undefined) return begin()
      const client = addressSubject(address)
      const rate = await windows.look(`invalid:${client}`, invalidLimit(limits), now())
      if (rate.admitted) return begin()
      const network = `network ${networkOf(client)}`
      if (!hasPlace(client, network)) throw new LaneFull(rateLimited(rate))
      taken++
      for (const subject of [client, network]) count(subject, 1)
      try {
        await turn()
        return await begin().finally(leave)
      } finally {
        taken--
        for (const subject of [client, network]) count(subject, -1)
      }
    },
  }
}
