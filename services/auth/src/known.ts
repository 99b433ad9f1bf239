import { LRUCache } from 'lru-cache'
import { createSteadyTime } from './domain/steady-time.ts'
import { createLookUps, type LookUpOptions } from './look-ups.ts'
import { createTagIndex } from './tag-index.ts'
import { createUnknownIds } from './unknown-ids.ts'

// What is remembered is believed for so long; while changes cannot be heard of, for no longer than this.
const BELIEVED_MS = 30_000
const UNHEARD_MS = 5000
// What is in use is looked up anew before it is too old, so that nobody waits for it: after so long, and then some. What
// was learned all at once is not renewed all at once.
const RENEWED_MS = 15_000
const RENEWED_WITHIN_MS = 10_000
const FORGOTTEN = Symbol('forgotten')

/** How something that is not known is looked up: whether, and when. */
export type LookUpWay = <T>(lookUp: () => Promise<T>) => Promise<T>

/** What there is by ids, remembered. */
export interface Known<V> {
  /**
   * What has this id, at once where that is known; undefined where nothing has. Rejects where it cannot be looked up. What
   * is not known is looked up in this way.
   */
  find(id: string, way?: LookUpWay): V | undefined | Promise<V | undefined>
  /** Forgets what carries this tag. */
  evict(tag: string): void
  /** Forgets which ids were unknown. */
  evictUnknown(): void
  evictAll(): void
}

/** What a memory stands on. */
export interface KnownOptions<V> extends Pick<LookUpOptions<V>, 'lookUp' | 'tagsOf'> {
  now(): Date
  /** How many things it remembers. */
  readonly max: number
  /** Whether changes are heard of now. */
  isHeard(): boolean
  /** At least 0, below 1: when, of the time that there is for it, each is renewed. */
  random?(): number
}

/** Something remembered, as it was at a time: milliseconds since the memory began, as small numbers take no room. */
interface Entry<V> {
  readonly value: V
  at: number
  renewedAt: number
}

/**
 * Remembers what was looked up, and what was not there. What was evicted is forgotten at once, and a look-up that began
 * before is neither remembered nor answered: it is made again.
 */
export function createKnown<V>(options: KnownOptions<V>): Known<V> {
  const { tagsOf, isHeard, now, max, random = Math.random } = options
  const steady = createSteadyTime()
  const clock = () => steady.now(now().getTime())
  const begun = clock()
  const open = () => {
    const tagged = createTagIndex()
    const entries = new LRUCache<string, Entry<V>>({
      max,
      dispose: ({ value }, id) => tagged.remove(id, tagsOf(value)),
    })
    return { entries, tagged }
  }
  let { entries, tagged } = open()
  const unknown = createUnknownIds()

  const learned = (id: string, value: V | undefined, beganAt: number) => {
    // Rounded, the engine keeps it as a small number.
    const at = Math.round(beganAt - begun)
    unknown.delete(id)
    if (value === undefined) {
      entries.delete(id)
      unknown.add(id, at)
      return
    }
    const renewedAt = at + RENEWED_MS + Math.floor(random() * RENEWED_WITHIN_MS)
    const before = entries.peek(id)
    if (before?.value === value) {
      before.at = at
      before.renewedAt = renewedAt
      return
    }
    entries.set(id, { value, at, renewedAt })
    tagged.add(id, tagsOf(value))
  }
  const lookUps = createLookUps({
    ...options,
    now: clock,
    learned,
    knownOf: (id) => entries.peek(id)?.value,
  })

  const recall = (id: string): V | undefined | typeof FORGOTTEN => {
    const time = clock() - begun
    const believed = isHeard() ? BELIEVED_MS : UNHEARD_MS
    const entry = entries.get(id)
    if (entry) {
      if (time - entry.at >= believed) return FORGOTTEN
      if (time >= entry.renewedAt) {
        // Once: where it fails, whoever asks when this is too old hears so.
        entry.renewedAt = entry.at + BELIEVED_MS
        lookUps.renew(id)
      }
      return entry.value
    }
    const at = unknown.at(id)
    return at !== undefined && time - at < believed ? undefined : FORGOTTEN
  }

  return {
    find(id, way) {
      const recalled = recall(id)
      if (recalled !== FORGOTTEN) return recalled
      if (!way) return lookUps.of(id)
      return way(async () => {
        // By the time that it is its turn, another may have found out.
        const meanwhile = recall(id)
        return meanwhile === FORGOTTEN ? lookUps.of(id) : meanwhile
      })
    },
    evict(tag) {
      for (const id of tagged.of(tag)) entries.delete(id)
      lookUps.changed(tag)
    },
    evictUnknown() {
      unknown.clear()
      lookUps.appeared()
    },
    evictAll() {
      ;({ entries, tagged } = open())
      unknown.clear()
      lookUps.allChanged()
    },
  }
}
