import type { Refusals } from '@instatunnel/kit/refusal'

/** Every reason that the relay refuses an agent with, beside those that all services share, and the row that answers. */
export const refusals = {
  NOT_AN_UPGRADE: 'validation_error',
  SUPERSEDED: 'conflict',
  // At another relay, or in a moment, there may be room: agents try again.
  TOO_MANY_AGENTS: 'unavailable',
  DRAINING: 'unavailable',
  DECIDE_AGAIN: 'unavailable',
} as const satisfies Refusals
