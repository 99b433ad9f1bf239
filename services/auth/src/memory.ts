import type { Evicted } from '@instatunnel/kit/eviction'
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
