import type { Refusals } from '@instatunnel/kit/refusal'

/** Every reason that auth may refuse with → the row of the error table that answers. */
export const refusals = {
  EMAIL_TAKEN: 'conflict',
  REGISTRATION_CLOSED: 'forbidden',
  INVITATION_INVALID: 'forbidden',
  INVITATION_NOT_FOUND: 'not_found',
  LOGIN_FAILED: 'unauthorized',
  WRONG_PASSWORD: 'forbidden',
  PASSWORDS_BUSY: 'unavailable',
  USER_NOT_FOUND: 'not_found',
  SESSION_NOT_FOUND: 'not_found',
  ACCOUNT_SUSPENDED: 'forbidden',
  KEY_BOUNDED: 'forbidden',
  OWN_ACCOUNT: 'forbidden',
  LAST_ADMIN: { error: 'conflict', grpc: 'ABORTED' },
  SESSION_KEY_UNAVAILABLE: 'unavailable',
  UNKNOWN_METHOD: 'not_found',
  CROSS_SITE: 'forbidden',
  TUNNEL_NOT_FOUND: 'not_found',
  KEY_NOT_FOUND: 'not_found',
  PLAN_LIMIT: 'plan_limit',
  // Of what the gateway asks, never of a client's call.
  NO_SUCH_RPC: 'unimplemented',
  NO_SUCH_SERVICE: 'not_found',
  MESSAGE_COMPRESSED: 'unimplemented',
  MESSAGE_TOO_LONG: { error: 'payload_too_large', grpc: 'RESOURCE_EXHAUSTED' },
} as const satisfies Refusals
