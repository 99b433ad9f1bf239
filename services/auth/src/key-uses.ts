import { Refusal } from '@instatunnel/kit/refusal'
import type { LeaseUsesResponse } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { LRUCache } from 'lru-cache'
import type { KeyUses, Taken, UsesLeft } from './domain/key-use.ts'
import { isDueBack, isLow, useOne } from './domain/lease-held.ts'
import type { Waiter } from './domain/lease-talk.ts'
import { createKeyLeases, type UsedKey } from './key-leases.ts'
import { createKeyReturns } from './key-returns.ts'
import type { LeaseClient } from './lease-exchange.ts'

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
export type Every = (ms: number, work: () => Promise<void>) => () => void

const SWEEP_MS = 500
const CLOSE_MS = 2000
// So many keys of which nothing is left are remembered, and this long: an eviction that was missed does no harm.
const REFUSALS_MAX = 10_000
const REMEMBERED_MS = 5000
const UNTIL_WHO_KNOWS_MS = 1000
// While nobody tells what changes, a lease is believed for so long after keys spoke of it.
const BELIEVED_MS = 5000

const VALID: Taken = { code: 'VALID' }

/** Creates the uses of a replica; `replica` is a name that no other process ever has. */
export function createKeyUses(options: {
  keys: LeaseClient
  replica: string
  now: () => Date
  /** Forgets what is known of a key: it is not what it was. A call for it rejects with KeyGone then. */
  forget: (keyId: string) => void
  /** True while whatever changes is heard of. */
  isHeard?: () => boolean
  every?: Every
}): LeasedUses {
  const { every = everyInterval, isHeard = () => true } = options
  const now = () => options.now().getTime()
  const refusals = new LRUCache<string, Refused>({ max: REFUSALS_MAX })
  const leases = createKeyLeases({
    ...options,
    refused: (keyId, answer) => void refusals.set(keyId, refusedBy(answer, now())),
  })
  const returns = createKeyReturns(leases)
  let closed = false
  let sweptAt = 0
  let isSweeping = false

  const waitFor = (key: UsedKey, { uses, signal }: { uses: boolean; signal?: AbortSignal | undefined }) =>
    new Promise<Taken>((resolve, reject) => {
      if (closed) return reject(new Refusal('UNAVAILABLE', 'This replica is closing; try again shortly'))
      leases.wait(key, { uses, signal, settle: (outcome) => resolve(takenBy(outcome, now())), fail: reject })
    })
  const evict = (keyId: string) => {
    refusals.delete(keyId)
    const lease = leases.find(keyId)
    if (!lease) return
    leases.withdraw(lease)
    leases.giveBack(keyId)
  }
  const evictAll = () => {
    refusals.clear()
    for (const lease of leases.all()) leases.withdraw(lease)
    void returns.run((lease) => lease.parked > 0 || lease.request !== undefined)
  }
  const sweep = async () => {
    const time = now()
    // A clock that was set back would have leases last longer than keys knows them to.
    if (time < sweptAt) evictAll()
    sweptAt = time
    if (isSweeping) return
    isSweeping = true
    await returns.run((lease) => {
      const isThere = !leases.tidy(lease, now())
      return isThere && !lease.isAsking && (lease.parked > 0 || isDueBack(lease, now()))
    })
    isSweeping = false
  }
  const stopSweeping = every(SWEEP_MS, sweep)

  return {
    take({ record }, at, signal) {
      const { id } = record
      const time = at.getTime()
      const lease = leases.find(id)
      if (lease && (time - lease.answeredAt < BELIEVED_MS || isHeard()) && useOne(lease, time)) {
        if (isLow(lease)) leases.askMore(lease)
        return VALID
      }
      const refusal = refusals.get(id)
      if (refusal && time < refusal.until) return takenOf(refusal, time)
      return waitFor(record, { uses: true, signal })
    },
    async look({ record }) {
      const { id } = record
      const { answer } = await leases.giveBack(id)
      if (!answer) return {}
      // Where only others hold some, they are asked for it, as they would be for a call.
      if (answer.code !== '' || (answer.remaining !== 0 && answer.windowRemaining !== 0))
        return leftBy(answer)
      const taken = await waitFor(record, { uses: false })
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
      const settled = returns.run(() => true)
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
