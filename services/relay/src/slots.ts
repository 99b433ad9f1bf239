import { networkOf } from '@instatunnel/kit/client-address'
import type { LinkStream, StreamHolder } from '@instatunnel/kit/link'

/** Of an agent's slots one client takes at most a quarter, and may take this many; all of one network take twice that. */
const SHARE = 1 / 4
const MIN_SHARE = 16
// Looking for one costs as much as there are slots: where none was idle, that stays so for a while.
const SEARCH_EVERY_MS = 250

/** Why a client gets no slot: all are taken, or its own share, or its network's, is. */
export type SlotRefusal = 'too_many' | 'crowded'

/** What one agent works on at once, and how much of it is whose. */
export class Slots {
  readonly #max: number
  readonly #idleBeats: number
  readonly #share: number
  readonly #networkShare: number
  readonly #clients = new Map<string, Client>()
  readonly #networks = new Map<string, Network>()
  #largest: Network | undefined
  #comparedAt = Number.NEGATIVE_INFINITY
  /** How many are taken. */
  size = 0

  /** So many slots, of which one whose stream has moved no byte for so many heartbeats makes room for another client. */
  constructor(max: number, idleBeats: number) {
    this.#max = max
    this.#idleBeats = idleBeats
    this.#share = Math.max(MIN_SHARE, Math.floor(max * SHARE))
    this.#networkShare = 2 * this.#share
  }

  /** Why this client gets no slot now; undefined where it gets one. */
  refusal(client: string): SlotRefusal | undefined {
    if (this.#countOf(client) >= this.#share) return 'crowded'
    if (this.size >= this.#networkShare && this.#isFull(this.#networks.get(networkOf(client))))
      return 'crowded'
    return this.size >= this.#max ? 'too_many' : undefined
  }

  /** Takes a slot for a client's stream until that is over. */
  take(client: string, stream: LinkStream): void {
    let holder = this.#clients.get(client)
    if (!holder) {
      holder = new Client(this, client, this.#networkOf(client))
      this.#clients.set(client, holder)
    }
    holder.count++
    holder.network.count++
    this.size++
    stream.holder = holder
  }

  /**
   * The stream that has to make room for this client: the longest idle one of the client that holds the most in the
   * network that does, which is the client's own where that has its share. Undefined where none of those is idle, where
   * this client has its share, and where it would hold as much itself.
   */
  toEnd(client: string, streams: () => Iterable<LinkStream>): LinkStream | undefined {
    const now = performance.now()
    const held = this.#countOf(client)
    const own = this.#networks.get(networkOf(client))
    const from = this.#isFull(own) ? own : this.#largestAt(now)
    if (!from || held >= this.#share || now - from.searchedAt < SEARCH_EVERY_MS) return undefined
    const holdsLess = from === own ? held + 1 < own.count / own.clients : (own?.count ?? 0) + 1 < from.count
    if (!holdsLess) return undefined
    const found = this.#idlest(from, streams())
    if (found) this.#comparedAt = Number.NEGATIVE_INFINITY
    else from.searchedAt = now
    return found
  }

  /** @private A client's stream is over. */
  freed(client: Client): void {
    const { network } = client
    this.size--
    if (--network.count === 0) this.#networks.delete(network.name)
    if (--client.count > 0) return
    network.clients--
    this.#clients.delete(client.name)
  }

  #countOf(client: string): number {
    return this.#clients.get(client)?.count ?? 0
  }

  #isFull(network: Network | undefined): boolean {
    return network !== undefined && network.count >= this.#networkShare
  }

  /** The network of a client that comes. */
  #networkOf(client: string): Network {
    const name = networkOf(client)
    let network = this.#networks.get(name)
    if (!network) {
      network = { name, count: 0, clients: 0, searchedAt: Number.NEGATIVE_INFINITY }
      this.#networks.set(name, network)
    }
    network.clients++
    return network
  }

  /** The network that holds the most; where it makes no room, it is compared with the others once in a while only. */
  #largestAt(now: number): Network | undefined {
    if (now - this.#comparedAt < SEARCH_EVERY_MS) return this.#largest
    this.#comparedAt = now
    this.#largest = undefined
    for (const each of this.#networks.values()) {
      if (!this.#largest || each.count > this.#largest.count) this.#largest = each
    }
    return this.#largest
  }

  /** The longest idle stream of those clients that hold the most in a network. */
  #idlest(network: Network, streams: Iterable<LinkStream>): LinkStream | undefined {
    let most = 0
    let found: LinkStream | undefined
    for (const stream of streams) {
      const { holder } = stream
      if (!(holder instanceof Client) || holder.network !== network || holder.count < most) continue
      if (holder.count > most) found = undefined
      most = holder.count
      if (stream.idleBeats >= this.#idleBeats && stream.idleBeats > (found?.idleBeats ?? 0)) found = stream
    }
    return found
  }
}

/** The clients of one network, while they hold slots. */
interface Network {
  readonly name: string
  /** How many slots they hold, and how many clients hold any. */
  count: number
  clients: number
  /** When none of theirs was found to be idle, on the process's clock. */
  searchedAt: number
}

/** A client while it holds slots. */
class Client implements StreamHolder {
  readonly #slots: Slots
  readonly name: string
  readonly network: Network
  count = 0

  constructor(slots: Slots, name: string, network: Network) {
    this.#slots = slots
    this.name = name
    this.network = network
  }

  released(): void {
    this.#slots.freed(this)
  }
}
