import { Refusal } from '@instatunnel/kit/refusal'
import type { Eventual } from './eventual.ts'

/** That a key is not what it was known as: it counts no uses any more, or it is no more. What is known of it was forgotten. */
export class KeyGone extends Refusal {
  constructor() {
    super('UNAVAILABLE', 'The API key was changed just now; try again', { retryAfterSeconds: 1 })
  }
}

/** Decides; and once more, by what is known then, where the key was gone when a use of it was asked for. */
export function againWhereGone<T>(decide: () => Eventual<T>): Eventual<T> {
  const decided = decide()
  if (!(decided instanceof Promise)) return decided
  return decided.catch((error) => (error instanceof KeyGone ? decide() : Promise.reject(error)))
}
