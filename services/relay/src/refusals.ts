import type { Refusals } from '@instatunnel/kit/refusal'

/** Every reason that the relay refuses an agent with, beside those that all services share, and the row that answers. */
export const refusals = {
  NOT_AN_UPGRADE: 'validation_error',
  SUPERSEDED: 'conflict',
  TOO_MANY_AGENTS: 'conflict',
  DRAINING: 'unavailable',
  DECIDE_AGAIN: 'unavailable',
} as const satisfies Refusals
