import { Refusal } from '@instatunnel/kit/refusal'

/** So many keys a user may have, those of sessions and revoked ones not counted. */
export const KEYS_MAX = 1000

/** Refuses one key more where a user has as many as there may be. */
export function refusePastLimit(count: number): void {
  if (count < KEYS_MAX) return
  throw new Refusal('KEY_LIMIT', `You have ${KEYS_MAX} API keys, the most there may be; delete one first`)
}
