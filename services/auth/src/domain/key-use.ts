import type { KnownKey } from './known-key.ts'

/** A key's answer to one use of it. */
export type Taken =
  | { readonly code: 'VALID' }
  | { readonly code: 'RATE_LIMITED' | 'USAGE_EXCEEDED'; readonly retryAfterSeconds?: number | undefined }

/** What is left of a key's uses. */
export interface UsesLeft {
  /** Undefined where they are not counted down. */
  readonly remaining?: number | undefined
  /** What the key's own window still admits; undefined where it has none. */
  readonly windowRemaining?: number | undefined
  /** Until there may be more, where there is none and there may be. */
  readonly retryAfterSeconds?: number | undefined
}

/** The uses of the keys that count them. */
export interface KeyUses {
  /**
   * Takes one, at once where one is at hand; what it refuses it does not count. Rejects where that cannot be told, and
   * where nobody waits any more when it can.
   */
  take(key: KnownKey, now: Date, signal?: AbortSignal): Taken | Promise<Taken>
  /** Tells what is left, and takes nothing. */
  look(key: KnownKey, now: Date): UsesLeft | Promise<UsesLeft>
}
