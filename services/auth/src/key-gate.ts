import { Refusal } from '@instatunnel/kit/refusal'
import type { Credentials } from './credentials.ts'
import type { KeyUses, Taken } from './domain/key-use.ts'
import { judgeKey, type KeyVerdict } from './domain/key-verdict.ts'
import type { KnownKey } from './domain/known-key.ts'
import type { KeyUsageTeller } from './events/key-usage.ts'
import { after, type Eventual } from './eventual.ts'
import type { LookUpWay } from './known.ts'

/** What was found of a key, before its uses are looked at; the key itself unless the code is NOT_FOUND. */
export type Judged =
  | { readonly code: 'NOT_FOUND'; readonly key?: undefined }
  | { readonly code: Exclude<KeyVerdict, 'NOT_FOUND'>; readonly key: KnownKey }

/** The one way that a key goes, whether it comes with a call, with an agent or to be verified. */
export interface KeyGate {
  /** Whether the key that is known by this (known-keys.ts) may be used now, for these scopes and from this address. */
  judge(
    knownBy: string,
    asked: readonly string[],
    address: string | undefined,
    way?: LookUpWay,
  ): Eventual<Judged>
  /**
   * Takes one use of a key and counts it. Where it gets none, and where that cannot be told, `undo` gives back what was
   * taken of other windows before. For a caller who has gone nothing is spent.
   */
  spend(
    key: KnownKey,
    now: Date,
    options?: { undo?: (() => void) | undefined; signal?: AbortSignal | undefined },
  ): Eventual<Taken>
}

const NOT_FOUND: Judged = { code: 'NOT_FOUND' }
const VALID: Taken = { code: 'VALID' }

/** Creates the gate of keys. */
export function createKeyGate(
  credentials: Pick<Credentials, 'findKey'>,
  { uses, usage, now }: { uses: Pick<KeyUses, 'take'>; usage: Pick<KeyUsageTeller, 'used'>; now: () => Date },
): KeyGate {
  const spent = (key: KnownKey, at: Date, taken: Taken, undo?: () => void): Taken => {
    if (taken.code === 'VALID') usage.used(key.record, at)
    else undo?.()
    return taken
  }
  return {
    judge: (knownBy, asked, address, way) =>
      after(credentials.findKey(knownBy, way), (key): Judged => {
        const code = key ? judgeKey(key, asked, address, now()) : 'NOT_FOUND'
        return key && code !== 'NOT_FOUND' ? { code, key } : NOT_FOUND
      }),
    spend(key, at, { undo, signal } = {}) {
      if (signal?.aborted) {
        undo?.()
        throw new Refusal('UNAVAILABLE', 'The caller has gone')
      }
      const taken = key.record.isMetered ? uses.take(key, at, signal) : VALID
      if (!(taken instanceof Promise)) return spent(key, at, taken, undo)
      return taken.then(
        (late) => spent(key, at, late, undo),
        (error) => {
          undo?.()
          throw error
        },
      )
    },
  }
}
