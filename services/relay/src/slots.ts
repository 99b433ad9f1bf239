import type { LinkStream, StreamHolder } from '@instatunnel/kit/link'

/** Of an agent's slots one client takes at most a quarter, and may take this many. */
const SHARE = 1 / 4
const MIN_SHARE = 16
// A request that has moved no byte for this long makes room for another client's.
const IDLE_BEATS = 4
// Looking for one costs as much as there are slots: where none was idle, that stays so for a while.
const SEARCH_EVERY_MS = 250

/** Why a client gets no slot: all are taken, or its own share is. */
export type SlotRefusal = 'too_many' | 'crowded'

/** What one agent works on at once, and how much of it is whose. */
export class Slots {
  readonly #max: number
  readonly #share: number
  readonly #clients = new Map<string, Client>()
  #searchedAt = Number.NEGATIVE_INFINITY
  /** How many are taken. */
  size = 0

  constructor(max: number) {
    this.#max = max
    this.#share = Math.max(MIN_SHARE, Math.floor(max * SHARE))
  }

  /** Why this client gets no slot now; undefined where it gets one. */
  refusal(client: string): SlotRefusal | undefined {
    if (this.#countOf(client) >= this.#share) return 'crowded'
    return this.size >= this.#max ? 'too_many' : undefined
  }

  /** Takes a slot for a client's stream until that is over. */
  take(client: string, stream: LinkStream): void {
    let holder = this.#clients.get(client)
    if (!holder) {
      holder = new Client(this, client)
      this.#clients.set(client, holder)
    }
    holder.count++
    this.size++
    stream.holder = holder
  }

  /**
   * The stream that has to make room for this client: the longest idle one of the client that holds the most, and more
   * than this one would. Undefined where none is idle.
   */
  toEnd(client: string, streams: () => Iterable<LinkStream>): LinkStream | undefined {
    const now = performance.now()
    if (now - this.#searchedAt < SEARCH_EVERY_MS) return undefined
    let most: Client | undefined
    for (const each of this.#clients.values()) if (!most || each.count > most.count) most = each
    let found: LinkStream | undefined
    if (most && most.count > this.#countOf(client) + 1) {
      for (const stream of streams()) {
        const isIdler = stream.idleBeats >= IDLE_BEATS && stream.idleBeats > (found?.idleBeats ?? 0)
        if (stream.holder === most && isIdler) found = stream
      }
    }
    if (!found) this.#searchedAt = now
    return found
  }

  /** @private A client's stream is over. */
  freed(client: Client): void {
    this.size--
    if (--client.count === 0) this.#clients.delete(client.name)
  }

  #countOf(client: string): number {
    return this.#clients.get(client)?.count ?? 0
  }
}

/** A client while it holds slots. */
class Client implements StreamHolder {
  readonly #slots: Slots
  readonly name: string
  count = 0

  constructor(slots: Slots, name: string) {
    this.#slots = slots
    this.name = name
  }

  released(): void {
    this.#slots.freed(this)
  }
}
