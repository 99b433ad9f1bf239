/** Who waits in a fair queue. */
export interface Waiter {
  /** The network that it comes from, with its neighbours'; empty where that is not known. */
  readonly network: string
  /** The account that it is known to be of. */
  readonly account: string | undefined
  /** Its turn has come. */
  begin(): void
  /** Its place was needed for another. */
  refuse(): void
}

/** A short queue in which networks take turns. */
export interface FairQueue {
  /** Whether it has a place. */
  enter(waiter: Waiter): boolean
  leave(waiter: Waiter): void
  /** Takes out whose turn it is. */
  next(): Waiter | undefined
}

// An account has no use of more: they would only take the places of others.
const MAX_OF_ACCOUNT = 2

/**
 * Creates a queue of so many places. Who comes from a network that had no turn for longest is next, and of one network who came
 * first. Where the queue is full, a network with fewer places than another gets the last one of the network that has most: so
 * one may have all while nobody else wants them, and keeps nobody out. An account has two places at most.
 */
export function createFairQueue(places: number): FairQueue {
  /** In the order of their turns. */
  const networks = new Map<string, Set<Waiter>>()
  const accounts = new Map<string, number>()
  let taken = 0

  const ofAccount = (account: string | undefined) =>
    account === undefined ? 0 : (accounts.get(account) ?? 0)
  const count = (account: string | undefined, more: 1 | -1) => {
    if (account === undefined) return
    const held = ofAccount(account) + more
    if (held === 0) accounts.delete(account)
    else accounts.set(account, held)
  }
  const leave = (waiter: Waiter) => {
    const neighbours = networks.get(waiter.network)
    if (!neighbours?.delete(waiter)) return
    if (neighbours.size === 0) networks.delete(waiter.network)
    count(waiter.account, -1)
    taken--
  }
  /** Makes one of another network go, if it has more places than this one would have then. */
  const makeRoom = (network: string) => {
    const most = [...networks.values()].reduce(
      (one, other) => (other.size > one.size ? other : one),
      new Set(),
    )
    const last = [...most].at(-1)
    if (!last || most.size <= (networks.get(network)?.size ?? 0) + 1) return false
    leave(last)
    last.refuse()
    return true
  }

  return {
    enter(waiter) {
      const { network, account } = waiter
      if (ofAccount(account) >= MAX_OF_ACCOUNT) return false
      if (taken >= places && !makeRoom(network)) return false
      const neighbours = networks.get(network) ?? new Set()
      networks.set(network, neighbours.add(waiter))
      count(account, 1)
      taken++
      return true
    },
    leave,
    next() {
      const [network, neighbours] = networks.entries().next().value ?? []
      const [waiter] = neighbours ?? []
      if (network === undefined || !neighbours || !waiter) return undefined
      leave(waiter)
      networks.delete(network)
      if (neighbours.size > 0) networks.set(network, neighbours)
      return waiter
    },
  }
}
