import type { Refusals } from '@instatunnel/kit/refusal'

/** Every reason that keys refuses with, beside those that all services share, and the row that answers. */
export const refusals = {
  KEY_NOT_FOUND: 'not_found',
  USER_NOT_FOUND: 'not_found',
  OWNER_SCOPE_MISSING: 'forbidden',
  KEY_BOUNDED: 'forbidden',
  KEY_LIMIT: 'plan_limit',
  LEASE_LOST: { error: 'conflict', grpc: 'ABORTED' },
  SESSION_KEY: { error: 'conflict', grpc: 'ABORTED' },
  SESSION_KEY_REVOKED: { error: 'conflict', grpc: 'ABORTED' },
  KEY_NOT_REVOKED: { error: 'conflict', grpc: 'ABORTED' },
  KEY_NOT_RESTORABLE: { error: 'conflict', grpc: 'ABORTED' },
} as const satisfies Refusals
