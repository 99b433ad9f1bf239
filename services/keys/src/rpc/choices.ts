import type { Identity } from '@instatunnel/kit/identity'
import { fieldsToSet } from '@instatunnel/kit/update-mask'
import { validate } from '@instatunnel/kit/validate'
import type { UpdateKeyRequest } from '@instatunnel/proto/keys/v1/api_key_service'
import { CHOICES, type Choice, type Chosen, expiryOf, isServerOnly } from '../domain/change.ts'
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
  const isPresent = (choice: Choice) => {
    const value = request[FIELDS[choice]]
    return Array.isArray(value) ? value.length > 0 : value !== undefined
  }
  const sets = fieldsToSet(request.updateMask, CHOICES, isPresent)
  const held = [...sets].filter(isPresent)
  const { expiresIn, ...values } = validate(changedKeyFields, {
    ...(sets.has('name') && { name: '' }),
    ...Object.fromEntries(held.map((choice) => [FIELDS[choice], request[FIELDS[choice]]])),
  })
  const chosenOf = (key: Key, caller: Identity, now: Date) => {
    const all = { ...cleared(key, caller), ...values, expiresAt: expiryOf(expiresIn, now) }
    const names = [...sets].map((choice) => (choice === 'expires_in' ? 'expiresAt' : FIELDS[choice]))
    return Object.fromEntries(names.map((name) => [name, all[name as keyof Chosen]])) as Partial<Chosen>
  }
  return { chosenOf, sets, holdsServerOnly: isServerOnly(held) }
}

const FIELDS = {
  name: 'name',
  permissions: 'permissions',
  enabled: 'enabled',
  metadata: 'metadata',
  expires_in: 'expiresIn',
  remaining: 'remaining',
  refill_amount: 'refillAmount',
  refill_interval: 'refillInterval',
  rate_limit_enabled: 'rateLimitEnabled',
  rate_limit_time_window: 'rateLimitTimeWindow',
  rate_limit_max: 'rateLimitMax',
  allowed_ips: 'allowedIps',
  allowed_subdomains: 'allowedSubdomains',
} as const satisfies Record<Choice, keyof UpdateKeyRequest>

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
