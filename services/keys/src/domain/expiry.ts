import { invalidFields } from '@instatunnel/kit/refusal'

/** The longest that a key may be given to live: ten years. */
export const LIFETIME_MAX_SECONDS = 315_360_000

/** When a key is to expire: so many seconds from now, or at a time. Without either it never does. */
export interface Expiry {
  readonly expiresIn?: number | undefined
  readonly expiresAt?: Date | undefined
}

/**
 * When a key expires that is made or changed now; null where it never does. Refuses a time that is past or more than ten
 * years away.
 */
export function expiryOf({ expiresIn, expiresAt }: Expiry, now: Date): Date | null {
  if (expiresIn !== undefined) return new Date(now.getTime() + expiresIn * 1000)
  if (expiresAt === undefined) return null
  const lifetimeMs = expiresAt.getTime() - now.getTime()
  // Not a number where gRPC carries a time that is past what a Date holds.
  if (!(lifetimeMs > 0 && lifetimeMs <= LIFETIME_MAX_SECONDS * 1000))
    throw invalidFields([
      { field: 'expires_at', message: 'must be after now, and at most ten years from now' },
    ])
  return expiresAt
}
