import { isId } from '@instatunnel/kit/id'
import { nameField } from '@instatunnel/kit/name'
import { digestField } from '@instatunnel/kit/secret'
import { hasControls, snakeCase } from '@instatunnel/kit/validate'
import { z } from 'zod'
import { LIFETIME_MAX_SECONDS } from '../domain/expiry.ts'
import { metadataFault } from '../domain/metadata.ts'
import { GRACE_MAX_SECONDS } from '../domain/old-secret.ts'
import { isPermission, PERMISSIONS_MAX, tidied } from '../domain/permission.ts'
import { isLeaked } from '../domain/revocation.ts'
import { prefixFault } from '../domain/secret.ts'
import { isSessionId } from '../domain/session-key.ts'
import { STATES } from '../domain/state.ts'
import { meteringFields } from './metering-fields.ts'
import { restrictionFields } from './restriction-fields.ts'

const REASON_MAX = 200
const GRACE = 'must be from 0 to 2592000 seconds (30 days)'
const LIFETIME = 'must be from 1 to 315360000 seconds (ten years)'

// Counted as people count: an emoji is one.
const isAtMost = (max: number) => (text: string) => text.length <= max * 2 && [...text].length <= max

const withoutControls = { error: 'must not hold control characters', abort: true }

// The count first: of a list too long, no item is looked at.
const permissions = z
  .array(z.string())
  .max(PERMISSIONS_MAX, { error: `must be at most ${PERMISSIONS_MAX}`, abort: true })
  .superRefine((list, context) => {
    for (const [index, permission] of list.entries()) {
      if (isPermission(permission)) continue
      context.addIssue({
        code: 'custom',
        path: [index],
        message: 'is not a scope, nor a pattern that matches one',
      })
    }
  })
  .transform(tidied)

const expiresIn = z.int(LIFETIME).min(1, LIFETIME).max(LIFETIME_MAX_SECONDS, LIFETIME)

const metadata = z.custom<Record<string, unknown>>().superRefine((value, context) => {
  const message = metadataFault(value)
  if (message) context.addIssue({ code: 'custom', message })
})

const prefix = z.string().superRefine((text, context) => {
  const message = prefixFault(text)
  if (message) context.addIssue({ code: 'custom', message })
})

/** Of two fields that say one thing in two ways, at most one is given. */
const notBoth =
  <One extends string, Other extends string>(one: One, other: Other) =>
  (given: Partial<Record<One | Other, unknown>>, context: z.RefinementCtx) => {
    if (!isGiven(given[one]) || !isGiven(given[other])) return
    for (const [name, beside] of [
      [one, other],
      [other, one],
    ] as const) {
      const message = `must not be given beside ${snakeCase(beside)}`
      context.addIssue({ code: 'custom', path: [name], message })
    }
  }

/** An empty list and false say nothing. */
const isGiven = (value: unknown) =>
  value !== undefined && value !== false && (value as unknown[]).length !== 0

const notBothExpiries = notBoth('expiresIn', 'expiresAt')
const notBothPermissions = notBoth('permissions', 'noPermissions')

/** What is chosen about a new key. */
export const newKeyFields = z
  .object({
    name: nameField,
    permissions,
    noPermissions: z.boolean().optional(),
    expiresIn: expiresIn.optional(),
    expiresAt: z.date().optional(),
    prefix: prefix.optional(),
    metadata: metadata.prefault({}),
    userId: z.string().optional(),
    ...restrictionFields,
    ...z.object(meteringFields).partial().shape,
  })
  .superRefine(notBothExpiries)
  .superRefine(notBothPermissions)

/** What an update chooses anew; an absent field stays as it is. */
export const changedKeyFields = z
  .object({ name: nameField, permissions, noPermissions: z.boolean(), enabled: z.boolean(), metadata })
  .extend({ expiresIn, expiresAt: z.date(), ...restrictionFields, ...meteringFields })
  .partial()
  .superRefine(notBothExpiries)
  .superRefine(notBothPermissions)

/** For how many seconds the old secret still works; not at all where nothing is said. */
export const rotationFields = z.object({
  gracePeriod: z.int(GRACE).min(0, GRACE).max(GRACE_MAX_SECONDS, GRACE).default(0),
})

/** Which keys are listed; all that are not revoked where nothing is said. */
export const listFields = z.object({
  state: z
    .enum(['', ...STATES], `must be one of ${STATES.join(', ')}`)
    .transform((state) => (state === '' ? undefined : state)),
})

/** Why a key is revoked, in its caller's words. */
export const reasonFields = z.object({
  reason: z
    .string()
    .refine(isAtMost(REASON_MAX), { error: `must be at most ${REASON_MAX} characters`, abort: true })
    .refine((text) => !hasControls(text), withoutControls),
})

/** Why keys are revoked, and whether the tokens that they could have read are to be renewed. */
export const deletionFields = reasonFields
  .extend({ regenerate: z.boolean() })
  .refine(({ reason, regenerate }) => !regenerate || isLeaked(reason), {
    path: ['regenerate'],
    message: 'is for a key that is deleted with reason "leaked"',
  })

/** A secret to be verified, and for what. */
export const verifiedFields = z.object({
  key: z.string().min(1, 'must be 1 to 256 characters').max(256, 'must be 1 to 256 characters'),
  permissions,
})

/** Whose key auth asks for. Unlike a user's, it never means all where nothing is said. */
export const sessionKeyFields = z.object({
  sessionId: z.string().refine(isSessionId, 'is not the id of a session'),
  userId: z.string().refine((text) => isId(text, 'user_'), 'is not the id of a user'),
  permissions: permissions.refine((list) => list.length > 0, 'must not be empty'),
})

/** The SHA-256 of a secret. */
export const digestFields = z.object({
  digest: digestField,
})
