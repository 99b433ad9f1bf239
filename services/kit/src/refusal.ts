import type { ErrorName, GrpcCode } from './errors.ts'
import type { Rate } from './rate.ts'

/** One field that was refused, by its name on the wire ("local_port"), and why. */
export interface FieldViolation {
  readonly field: string
  readonly message: string
}

/** What a refusal may tell beside its message. */
export interface RefusalDetails {
  readonly fields?: readonly FieldViolation[]
  /** The scope that the caller lacks. */
  readonly requiredScope?: string
  /** After how many seconds the same call may succeed. */
  readonly retryAfterSeconds?: number
  /** The window that does not admit the call. */
  readonly rate?: Rate
  /** The time by the clock of the one who refuses; told to services only. */
  readonly time?: Date
}

/**
 * A "no" with a reason: the only error that a handler throws on purpose. The reason is UPPER_SNAKE and stands in the
 * service's refusals.ts; the message is shown to the client as it is.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly reason: string
  readonly details: RefusalDetails

  constructor(reason: string, message: string, details: RefusalDetails = {}) {
    super(message)
    this.reason = reason
    this.details = details
  }
}

/** A row of the error table, or the row with the other of the gRPC codes that share it. */
export type RefusalRow = ErrorName | { readonly error: ErrorName; readonly grpc: GrpcCode }

/** A service's table: every reason that it may refuse with → the row of the error table that answers. */
export type Refusals = Readonly<Record<string, RefusalRow>>

/** The reasons that every service may refuse with: they come from the kit itself. */
export const commonRefusals = {
  INVALID_FIELDS: 'validation_error',
  UNREADABLE_REQUEST: 'validation_error',
  CREDENTIAL_MISSING: 'unauthorized',
  CREDENTIAL_INVALID: 'unauthorized',
  SCOPE_MISSING: 'forbidden',
  TUNNEL_TOKEN_CONNECTS_ONLY: 'forbidden',
  SERVICES_ONLY: 'unauthorized',
  NOT_FOR_THIS_SERVICE: 'forbidden',
  ADDRESS_NOT_ALLOWED: 'forbidden',
  RATE_LIMITED: 'rate_limited',
  USAGE_EXCEEDED: 'usage_exceeded',
  UNAVAILABLE: 'unavailable',
  CLOCKS_DIFFER: 'unavailable',
  TIMEOUT: 'timeout',
} as const satisfies Refusals

// The answer travels in trailers, which carry some tens of KiB: a request with ten thousand faults hears of the first.
const MAX_FIELDS = 10
const MAX_FIELD_NAME = 60
const MAX_FIELD_MESSAGE = 300

/** A refusal that names the fields at fault, the first ten of them; its message is that of all that it names. */
export function invalidFields(violations: readonly FieldViolation[]): Refusal {
  const fields = violations.slice(0, MAX_FIELDS).map(({ field, message }) => ({
    field: field.slice(0, MAX_FIELD_NAME),
    message: message.slice(0, MAX_FIELD_MESSAGE),
  }))
  const message = fields.map(({ field, message: said }) => `${field}: ${said}`).join('; ')
  return new Refusal('INVALID_FIELDS', message, { fields })
}

/**
 * The refusal of a token that is ours and not good at this time, and of every call by a replica whose clock is wrong: the caller is
 * not to blame. Nothing was done: another replica may be asked. A service whose token was refused is told the time.
 */
export const clocksDiffer = (time?: Date) =>
  new Refusal('CLOCKS_DIFFER', 'The clocks of our services differ right now; try again shortly', {
    retryAfterSeconds: 1,
    ...(time && { time }),
  })
