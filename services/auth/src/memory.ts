import type { Evicted } from '@instatunnel/kit/eviction'
import type { LeasedUses } from './key-uses.ts'
import { createKnownKeys, type KnownKeysOptions } from './known-keys.ts'
import { createKnownSessions } from './known-sessions.ts'

/** What a replica remembers of credentials. */
export interface Memory {
  readonly keys: ReturnType<typeof createKnownKeys>
  readonly sessions: ReturnType<typeof createKnownSessions>
  /** Forgets these at once, and whatever belongs to them. */
  forget(what: Evicted): void
  forgetAll(): void
}

/** Creates the memory, empty. */
export function createMemory(options: KnownKeysOptions): Memory {
  const keys = createKnownKeys(options)
  const sessions = createKnownSessions(options)
  return {
    keys,
    sessions,
    forget({ keys: keyIds = [], sessions: sessionIds = [], users = [], refusals = false }) {
      for (const tag of [...keyIds, ...sessionIds, ...users]) keys.evict(tag)
      for (const tag of [...sessionIds, ...users]) sessions.evict(tag)
      if (refusals) keys.evictUnknown()
    },
    forgetAll() {
      keys.evictAll()
      sessions.evictAll()
    },
  }
}

/** The memory, and with each key that it forgets what is held of that key's uses: both may be of another time. */
export const forgettingUses = (
  memory: Pick<Memory, 'forget' | 'forgetAll'>,
  uses: Pick<LeasedUses, 'evict' | 'evictAll'>,
): Pick<Memory, 'forget' | 'forgetAll'> => ({
  forget(what) {
    memory.forget(what)
    for (const keyId of what.keys ?? []) uses.evict(keyId)
  },
  forgetAll() {
    memory.forgetAll()
    uses.evictAll()
  },
})
