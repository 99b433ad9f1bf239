import type { Identity } from '@instatunnel/kit/identity'
import { invalidFields } from '@instatunnel/kit/refusal'
import { fieldsToSet } from '@instatunnel/kit/update-mask'
import { snakeCase, validate } from '@instatunnel/kit/validate'
import type { UpdateKeyRequest } from '@instatunnel/proto/keys/v1/api_key_service'
import { CHOICES, type Choice, type Chosen, isServerOnly } from '../domain/change.ts'
import { expiryOf } from '../domain/expiry.ts'
import type { Key } from '../domain/key.ts'
import { allOfOwner } from '../domain/permission.ts'
import { changedKeyFields } from './key-fields.ts'

/** What a request sets of a key. */
export interface Choices {
  /** The fields that are set, as the key has them. */
  chosenOf(key: Key, caller: Identity, now: Date): Partial<Chosen>
  readonly sets: ReadonlySet<Choice>
  /** True where the request holds a value that only servers should decide about. */
  readonly holdsServerOnly: boolean
}

/** Reads what a request sets; a field that is named and absent goes back to its default. */
export function choicesIn(request: UpdateKeyRequest): Choices {
  const isPresent = (choice: Choice) => FIELDS[choice].some((field) => isGiven(field, request[field]))
  const names = request.updateMask?.map(snakeCase)
  if (names?.includes('no_permissions') && request.noPermissions === false) throw notTrue()
  const mask = names?.map((name) => SAME[name] ?? name)
  const sets = fieldsToSet(mask, CHOICES, isPresent)
  const held = [...sets].filter(isPresent)
  const fields = held.flatMap((choice) => FIELDS[choice])
  const { expiresIn, expiresAt, noPermissions, ...values } = validate(changedKeyFields, {
    ...(sets.has('name') && { name: '' }),
    ...Object.fromEntries(fields.map((field) => [field, request[field]])),
  })
  const chosenOf = (key: Key, caller: Identity, now: Date) => {
    const expiry = expiryOf({ expiresIn, expiresAt }, now)
    const all = {
      ...cleared(key, caller),
      ...values,
      expiresAt: expiry,
      ...(noPermissions && { permissions: [] }),
    }
    const names = [...sets].map((choice) => (choice === 'expires_in' ? 'expiresAt' : FIELDS[choice][0]))
    return Object.fromEntries(names.map((name) => [name, all[name as keyof Chosen]])) as Partial<Chosen>
  }
  return { chosenOf, sets, holdsServerOnly: isServerOnly(held) }
}

/** Set to false, it would clear the permissions, which are all of the owner's then. */
const notTrue = () =>
  invalidFields([{ field: 'no_permissions', message: 'cannot be set to false; name permissions' }])

/** Protobuf does not tell an empty list from one that is left out; no_permissions says something where it is true. */
const isGiven = (field: keyof UpdateKeyRequest, value: unknown) =>
  Array.isArray(value) ? value.length > 0 : field === 'noPermissions' ? value === true : value !== undefined

/** The fields that make a choice, the first one as the key has it. */
const FIELDS = {
  name: ['name'],
  permissions: ['permissions', 'noPermissions'],
  enabled: ['enabled'],
  metadata: ['metadata'],
  expires_in: ['expiresIn', 'expiresAt'],
  remaining: ['remaining'],
  refill_amount: ['refillAmount'],
  refill_interval: ['refillInterval'],
  rate_limit_enabled: ['rateLimitEnabled'],
  rate_limit_time_window: ['rateLimitTimeWindow'],
  rate_limit_max: ['rateLimitMax'],
  allowed_ips: ['allowedIps'],
  allowed_subdomains: ['allowedSubdomains'],
} as const satisfies Record<Choice, readonly (keyof UpdateKeyRequest)[]>

/** Names in a mask that stand for the same choice. */
const SAME: Readonly<Record<string, Choice>> = { expires_at: 'expires_in', no_permissions: 'permissions' }

const cleared = (key: Key, caller: Identity): Omit<Chosen, 'name'> => ({
  permissions: allOfOwner(key, caller),
  enabled: true,
  metadata: {},
  expiresAt: null,
  remaining: null,
  refillAmount: null,
  refillInterval: null,
  rateLimitEnabled: true,
  rateLimitTimeWindow: null,
  rateLimitMax: null,
  allowedIps: [],
  allowedSubdomains: [],
})
