/** What is kept of the secret before the last rotation; all null where there is none. */
export interface OldSecret {
  readonly oldMasked: string | null
  /** When it was replaced. */
  readonly rotatedAt: Date | null
  /** When it stops working. */
  readonly oldEndsAt: Date | null
  /** When it last admitted a call since it was replaced. */
  readonly oldLastRequest: Date | null
}

/** The longest grace period, in seconds: 30 days. */
export const GRACE_MAX_SECONDS = 2_592_000

/** Until when a secret that is replaced now works; null where it does not any more. */
export const graceEnd = (graceSeconds: number, now: Date): Date | null =>
  graceSeconds === 0 ? null : new Date(now.getTime() + graceSeconds * 1000)

/** The old secret, while it works. */
export function oldSecretInForce({ oldMasked, rotatedAt, oldEndsAt, oldLastRequest }: OldSecret, now: Date) {
  if (oldMasked === null || rotatedAt === null || oldEndsAt === null || oldEndsAt <= now) return undefined
  return { masked: oldMasked, rotatedAt, endsAt: oldEndsAt, lastRequest: oldLastRequest }
}
