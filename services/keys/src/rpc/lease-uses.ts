import type { TransactionSql } from '@instatunnel/kit/postgres'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  LeaseUsesRequest,
  LeaseUsesResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { keyIdFrom, keyNotFound } from '../domain/key.ts'
import { leaseUses as decide, type LeaseAsk } from '../domain/lease.ts'
import { isExhaustedBy } from '../domain/lease-book.ts'
import type { LeaseOutcome } from '../domain/lease-grant.ts'
import { NOBODY_RECALLED, type Recalled } from '../domain/lease-recall.ts'
import { lockBook, saveBooks } from '../store/lease-store.ts'
import { tellExhausted } from '../store/outbox.ts'
import type { Deps } from './deps.ts'
import { leaseFields } from './lease-fields.ts'

// What one holder gives back another may take first: so often all are asked before it counts as not to be told.
const RECALLS = 4

/** Leases uses of a key, and settles those leased before; says that nothing is left only when nobody else holds any. */
export const leaseUses =
  ({ sql, now, recall }: Deps): Unary<LeaseUsesRequest, LeaseUsesResponse> =>
  async (request, { signal }) => {
    const ask = validate(leaseFields, request)
    const keyId = keyIdFrom(request.keyId)
    const attempt = ({ gone }: Recalled) => {
      signal.throwIfAborted()
      return sql.begin((tx) => leaseOnce(tx, { keyId, ask, gone, now }))
    }

    let recalled = NOBODY_RECALLED
    for (let recalls = 0; ; recalls++) {
      const outcome = await attempt(recalled)
      if (!outcome.holders) return messageOf(outcome, now().getTime())
      const { silent } = recalled
      if (recalls === RECALLS || outcome.holders.some((holder) => silent.includes(holder))) throw cannotTell()
      recalled = await recall(keyId, outcome.holders)
    }
  }

interface Attempt {
  readonly keyId: string
  readonly ask: LeaseAsk
  readonly gone: readonly string[]
  readonly now: () => Date
}

async function leaseOnce(tx: TransactionSql, { keyId, ask, gone, now }: Attempt): Promise<LeaseOutcome> {
  const kept = await lockBook(tx, keyId)
  // What is left of a revoked key still goes back: it may be restored.
  if (!kept || (kept.isRevoked && ask.wanted > 0)) throw keyNotFound()
  // Only now: whoever waits for the lock must not count by a time that is over.
  const time = now()
  const outcome = decide(kept.book, ask, gone, time.getTime())
  await saveBooks(tx, [{ keyId, before: kept.book, after: outcome.book }], time)
  if (isExhaustedBy(kept.book, outcome.book))
    await tellExhausted(tx, { id: keyId, userId: kept.userId }, time)
  return outcome
}

function messageOf(
  { answer, until }: LeaseOutcome & { holders?: undefined },
  now: number,
): LeaseUsesResponse {
  const { granted, code, retryAt, remaining, windowRemaining } = answer
  return {
    granted,
    validForMs: Math.max(until - now, 0),
    code,
    retryAfterMs: retryAt === null ? undefined : Math.max(retryAt - now, 0),
    remaining: remaining === null ? undefined : Math.max(remaining, 0),
    windowRemaining: windowRemaining ?? undefined,
  }
}

const cannotTell = () =>
  new Refusal('UNAVAILABLE', 'Other replicas may hold uses of this key and cannot be asked right now', {
    retryAfterSeconds: 1,
  })
