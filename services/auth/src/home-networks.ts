const MAX_ACCOUNTS = 16_384
// One account makes no more networks known than a person has, whatever addresses it logs in from.
const MAX_OF_ACCOUNT = 4

/** The networks that accounts were logged in from lately. */
export interface HomeNetworks {
  /** Notes a network, as addressSubject has it. */
  note(userId: string, network: string): void
  has(network: string): boolean
}

/** Creates the memory of a replica: the last four networks of each of the 16,384 accounts that logged in last. */
export function createHomeNetworks(maxAccounts = MAX_ACCOUNTS): HomeNetworks {
  /** Who logged in last comes last, and so do their networks. */
  const accounts = new Map<string, string[]>()
  /** Of how many accounts each network is. */
  const counts = new Map<string, number>()

  const count = (network: string, more: 1 | -1) => {
    const left = (counts.get(network) ?? 0) + more
    if (left === 0) counts.delete(network)
    else counts.set(network, left)
  }
  const forget = (userId: string) => {
    for (const network of accounts.get(userId) ?? []) count(network, -1)
    accounts.delete(userId)
  }
  return {
    note(userId, network) {
      const others = (accounts.get(userId) ?? []).filter((each) => each !== network)
      forget(userId)
      const networks = [...others, network].slice(-MAX_OF_ACCOUNT)
      accounts.set(userId, networks)
      for (const each of networks) count(each, 1)
      const [oldest] = accounts.keys()
      if (accounts.size > maxAccounts && oldest !== undefined) forget(oldest)
    },
    has: (network) => counts.has(network),
  }
}
