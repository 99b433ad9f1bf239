import { Refusal } from '@instatunnel/kit/refusal'
import type { LeaseUsesResponse } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { LRUCache } from 'lru-cache'
import type { KeyUses, Taken, UsesLeft } from './domain/key-use.ts'
import { isDueBack, isLow, useOne } from './domain/lease-held.ts'
import type { Waiter } from './domain/lease-talk.ts'
import { createKeyLeases, type LeaseClient, type UsedKey } from './key-leases.ts'

/** The uses of keys that this replica has leased. */
export interface LeasedUses extends KeyUses {
  /** Uses no more of what it holds of a key, nor remembers that there was nothing: the key was changed. */
  evict(keyId: string): void
  /** As evict, of all keys: nobody knows which were changed. */
  evictAll(): void
  /** Settles what it holds of a key, as another replica needs it. Rejects where that cannot be done. */
  recall(keyId: string): Promise<void>
  /** Settles all that it holds, in two seconds at most; it is of no use any more. */
  close(): Promise<void>
}

/** Repeats some work; the answer stops it. */
export type Every = (ms: number, work: () => void) => () => void

const SWEEP_MS = 500
const CLOSE_MS = 2000
// So many keys of which nothing is left are remembered, and this long: an eviction that was missed does no harm.
const REFUSALS_MAX = 10_000
const REMEMBERED_MS = 5000
const UNTIL_WHO_KNOWS_MS = 1000
const SWEPT_AT_ONCE = 500

const VALID: Taken = { code: 'VALID' }

/** Creates the uses of a replica; `replica` is a name that no other process ever has. */
export function createKeyUses(options: {
  keys: LeaseClient
  replica: string
  now: () => Date
  /** Forgets what is known of a key: it is not what it was. A call for it rejects with KeyGone then. */
  forget: (keyId: string) => void
  every?: Every
}): LeasedUses {
  const { every = everyInterval } = options
  const now = () => options.now().getTime()
  const refusals = new LRUCache<string, Refused>({ max: REFUSALS_MAX })
  const leases = createKeyLeases({
    ...options,
    refused: (keyId, answer) => void refusals.set(keyId, refusedBy(answer, now())),
  })
  let closed = false
  let sweptAt = 0

  const waitFor = (key: UsedKey, uses: boolean) =>
    new Promise<Taken>((resolve, reject) => {
      if (closed) return reject(new Refusal('UNAVAILABLE', 'This replica is closing; try again shortly'))
      leases.wait(key, { uses, settle: (outcome) => resolve(takenBy(outcome, now())), fail: reject })
    })
  const evict = (keyId: string) => {
    refusals.delete(keyId)
    const lease = leases.find(keyId)
    if (lease) leases.evict(lease)
  }
  const evictAll = () => {
    refusals.clear()
    for (const lease of leases.all()) leases.evict(lease)
  }
  const sweep = () => {
    const time = now()
    // A clock that was set back would have leases last longer than keys knows them to.
    if (time < sweptAt) evictAll()
    sweptAt = time
    for (const lease of leases.all()) {
      if (leases.underWay() >= SWEPT_AT_ONCE) return
      const isThere = !leases.tidy(lease, time)
      if (isThere && !lease.isAsking && isDueBack(lease, time)) leases.giveBack(lease.keyId)
    }
  }
  const stopSweeping = every(SWEEP_MS, sweep)

  return {
    take({ record }, at) {
      const { id } = record
      const time = at.getTime()
      const lease = leases.find(id)
      if (lease && useOne(lease, time)) {
        if (isLow(lease)) leases.askMore(lease)
        return VALID
      }
      const refusal = refusals.get(id)
      if (refusal && time < refusal.until) return takenOf(refusal, time)
      return waitFor(record, true)
    },
    async look({ record }) {
      const { id } = record
      const { answer } = await leases.giveBack(id)
      if (!answer) return {}
      // Where only others hold some, they are asked for it, as they would be for a call.
      if (answer.code !== '' || (answer.remaining !== 0 && answer.windowRemaining !== 0))
        return leftBy(answer)
      const taken = await waitFor(record, false)
      if (taken.code !== 'VALID') return { ...leftBy(answer), retryAfterSeconds: taken.retryAfterSeconds }
      const lease = leases.find(id)
      return leftBy(lease?.answer ?? answer, lease?.left)
    },
    evict,
    evictAll,
    async recall(keyId) {
      if (leases.find(keyId)) await leases.giveBack(keyId)
    },
    async close() {
      closed = true
      stopSweeping()
      const settled = Promise.allSettled([...leases.all()].map(({ keyId }) => leases.giveBack(keyId)))
      await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())])
    },
  }
}

/** That nothing is left of a key, as it was said. */
interface Refused {
  readonly code: 'RATE_LIMITED' | 'USAGE_EXCEEDED'
  /** When there may be more; undefined where there will not. */
  readonly retryAt: number | undefined
  /** How long it is remembered. */
  readonly until: number
}

function refusedBy({ code, retryAfterMs }: LeaseUsesResponse, time: number): Refused {
  return {
    code: code === 'RATE_LIMITED' ? code : 'USAGE_EXCEEDED',
    retryAt: retryAfterMs === undefined ? undefined : time + retryAfterMs,
    until: time + Math.min(retryAfterMs ?? UNTIL_WHO_KNOWS_MS, REMEMBERED_MS),
  }
}

const takenOf = ({ code, retryAt }: Refused, time: number): Taken => ({
  code,
  retryAfterSeconds: retryAt === undefined ? undefined : secondsOf(retryAt - time),
})

function takenBy(outcome: Parameters<Waiter['settle']>[0], time: number): Taken {
  if (outcome === 'VALID') return VALID
  return takenOf(refusedBy(outcome, time), time)
}

/** What keys said is left, beside what others hold; and what is held here. */
const leftBy = ({ remaining, windowRemaining, retryAfterMs }: LeaseUsesResponse, held = 0): UsesLeft => ({
  remaining: remaining === undefined ? undefined : remaining + held,
  windowRemaining: windowRemaining === undefined ? undefined : windowRemaining + held,
  retryAfterSeconds: retryAfterMs === undefined ? undefined : secondsOf(retryAfterMs),
})

const secondsOf = (ms: number) => Math.max(Math.ceil(ms / 1000), 1)

const everyInterval: Every = (ms, work) => {
  const timer = setInterval(work, ms).unref()
  return () => clearInterval(timer)
}
