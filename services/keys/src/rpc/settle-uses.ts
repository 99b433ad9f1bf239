import { isId } from '@instatunnel/kit/id'
import type { TransactionSql } from '@instatunnel/kit/postgres'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  SettleUsesRequest,
  SettleUsesResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { z } from 'zod'
import { leaseUses as decide } from '../domain/lease.ts'
import { type Book, isExhaustedBy } from '../domain/lease-book.ts'
import { type BookChange, lockBooks, saveBooks } from '../store/lease-store.ts'
import { tellExhausted } from '../store/outbox.ts'
import type { Deps } from './deps.ts'
import { holderField, settlementFields } from './lease-fields.ts'

const KEYS_MAX = 500

// The count first: of a list too long, no item is looked at.
const request = z.object({
  holder: holderField,
  settlements: z
    .array(z.unknown())
    .max(KEYS_MAX, `must be at most ${KEYS_MAX}`)
    .pipe(z.array(settlementFields))
    .refine(
      (list) => new Set(list.map(({ keyId }) => keyId)).size === list.length,
      'must name each key once',
    ),
})

type Settlements = z.output<typeof request>

/** Settles what a holder had of many keys, in one transaction: what lies idle goes back faster than one by one. */
export const settleUses =
  ({ sql, now }: Deps): Unary<SettleUsesRequest, SettleUsesResponse> =>
  async (input) => {
    const asked = validate(request, input)
    return { lost: await sql.begin((tx) => settleAll(tx, asked, now)) }
  }

async function settleAll(tx: TransactionSql, { holder, settlements }: Settlements, now: () => Date) {
  const ids = settlements.map(({ keyId }) => keyId).filter((id) => isId(id, 'key_'))
  const books = await lockBooks(tx, ids)
  // Only now: whoever waits for the locks must not count by a time that is over.
  const time = now()
  const lost: number[] = []
  const changes: BookChange[] = []
  for (const [index, settlement] of settlements.entries()) {
    const { keyId } = settlement
    const before = books.get(keyId)?.book
    const after = before && settled(before, { ...settlement, holder }, time)
    if (after) changes.push({ keyId, before, after })
    else lost.push(index)
  }
  await saveBooks(tx, changes, time)
  for (const { keyId, before, after } of changes) {
    const { userId = '' } = books.get(keyId) ?? {}
    if (isExhaustedBy(before, after)) await tellExhausted(tx, { id: keyId, userId }, time)
  }
  return lost
}

/** The book once this is settled; undefined where the lease was lost. */
function settled(
  before: Book,
  settlement: Settlements['settlements'][number] & { holder: string },
  now: Date,
) {
  try {
    return decide(before, { ...settlement, wanted: 0, kept: 0 }, [], now.getTime()).book
  } catch (error) {
    if (error instanceof Refusal) return undefined
    throw error
  }
}
