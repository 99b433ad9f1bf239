import type { Refusals } from '@instatunnel/kit/refusal'

/** Every reason that tunnels refuses with, beside those that all services share, and the row that answers. */
export const refusals = {
  TUNNEL_NOT_FOUND: 'not_found',
  TOKEN_UNKNOWN: 'not_found',
  KEY_BOUNDED: 'forbidden',
  SUBDOMAIN_NOT_ALLOWED: 'forbidden',
  SUBDOMAIN_TAKEN: 'subdomain_taken',
  PLAN_LIMIT: 'plan_limit',
} as const satisfies Refusals
