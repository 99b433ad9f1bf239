import { isId } from '@instatunnel/kit/id'
import { z } from 'zod'

const MOST = 1_000_000
// A holder merges its uses to fewer.
const MOMENTS_MAX = 256

const count = (least: number) => {
  const message = `must be a whole number from ${least} to ${MOST}`
  return z.int(message).min(least, message).max(MOST, message)
}

const TURN = 'must be a whole number from 1 on'

const settled = {
  turn: z.int(TURN).min(1, TURN),
  used: z
    .array(z.object({ agoMs: z.custom<number>(), count: count(1) }))
    .max(MOMENTS_MAX, `must be at most ${MOMENTS_MAX}`)
    .refine((list) => list.every(({ agoMs }) => Number.isFinite(agoMs)), 'must tell when each was'),
  returned: count(0),
}

/** The replica that asks. */
export const holderField = z
  .string()
  .refine((text) => isId(text, 'auth_'), 'is not the id of a replica of auth')

/** What a holder asks for, and settles. */
export const leaseFields = z.object({ holder: holderField, ...settled, wanted: count(0), kept: count(0) })

/** What a holder settles of one key; what is no id is the id of no key. */
export const settlementFields = z.object({ keyId: z.string(), ...settled })
