// So few that to read the answer holds no call up, and that what one batch costs hardly counts for each.
const MAX_BATCH = 64
// More would only wait for the same database; what comes meanwhile goes along with the next.
const MAX_UNDER_WAY = 8
// Nobody waits for what is renewed: it takes no more of the way than this. But it has its share of each batch, however
// many wait for others: it would be too old in the end, and waited for.
const MAX_RENEWING = 2
const RENEWED_SHARE = 16

/** Looks things up by their ids. */
export interface LookUps<V> {
  /** What has this id; undefined where nothing has. Rejects as the look-up does. */
  of(id: string): Promise<V | undefined>
  /** Looks up what is known, when there is room: nobody waits for it. */
  renew(id: string): void
  /** What carries this tag is otherwise from now on. */
  changed(tag: string): void
  /** What was not there may be there from now on. */
  appeared(): void
  /** All may be otherwise. */
  allChanged(): void
}

/** What is looked up. */
export interface Asked<V> {
  readonly id: string
  /** As it was last, where that is known; what is as it was is answered as the very same. */
  readonly known: V | undefined
}

/** How things are looked up. */
export interface LookUpOptions<V> {
  /** Finds what there is of many ids. */
  lookUp(asked: readonly Asked<V>[]): Promise<ReadonlyMap<string, V>>
  /** What was last known of an id, however long ago. */
  knownOf(id: string): V | undefined
  tagsOf(value: V): readonly string[]
  /** Milliseconds. */
  now(): number
  /** Called with each that was looked up: as it was when that began, and has not changed since. */
  learned(id: string, value: V | undefined, beganAt: number): void
}

/** A batch that is under way, and what was said to be otherwise meanwhile. */
interface UnderWay {
  readonly changed: Set<string>
  appeared: boolean
  allChanged: boolean
}

/**
 * Ids that are asked for within one turn of the event loop are looked up together, each once however often it is asked
 * for. One that changed while it was looked up is looked up again: who asked gets no answer from before.
 */
export function createLookUps<V>(options: LookUpOptions<V>): LookUps<V> {
  const { lookUp, knownOf, tagsOf, now, learned } = options
  /** Each id that is to be looked up, or is; with whoever waits for it. */
  const asked = new Map<string, PromiseWithResolvers<V | undefined> | undefined>()
  const underWay = new Set<UnderWay>()
  const renewing = new Set<string>()
  const waiting: string[] = []
  let isDue = false

  const hasRoom = () =>
    underWay.size < (waiting.length > 0 ? MAX_UNDER_WAY : renewing.size > 0 ? MAX_RENEWING : 0)
  const schedule = () => {
    if (isDue || !hasRoom()) return
    isDue = true
    setImmediate(() => {
      isDue = false
      begin()
      schedule()
    })
  }
  const next = (): Asked<V>[] => {
    const first = waiting.splice(0, MAX_BATCH - Math.min(renewing.size, RENEWED_SHARE))
    const batch = first.map((id) => ({ id, known: knownOf(id) }))
    for (const id of renewing) {
      if (batch.length === MAX_BATCH) break
      renewing.delete(id)
      const known = knownOf(id)
      // What was forgotten meanwhile, nobody has asked for since.
      if (known === undefined) asked.delete(id)
      else batch.push({ id, known })
    }
    return batch
  }
  const begin = () => {
    const asking = next()
    if (asking.length === 0) return
    const batch: UnderWay = { changed: new Set(), appeared: false, allChanged: false }
    underWay.add(batch)
    const beganAt = now()
    lookUp(asking)
      .then(
        (found) => {
          for (const { id } of asking) take(id, found.get(id), batch, beganAt)
        },
        (error) => {
          for (const { id } of asking) settle(id)?.reject(error)
        },
      )
      .finally(() => {
        underWay.delete(batch)
        schedule()
      })
  }
  const take = (id: string, value: V | undefined, batch: UnderWay, beganAt: number) => {
    if (isOutdated(value, batch)) {
      waiting.push(id)
      return
    }
    learned(id, value, beganAt)
    settle(id)?.resolve(value)
  }
  const isOutdated = (value: V | undefined, { changed, appeared, allChanged }: UnderWay) => {
    if (allChanged) return true
    if (value === undefined) return appeared
    return changed.size > 0 && tagsOf(value).some((tag) => changed.has(tag))
  }
  const settle = (id: string) => {
    const settled = asked.get(id)
    asked.delete(id)
    return settled
  }

  return {
    of(id) {
      const before = asked.get(id)
      if (before) return before.promise
      const isUnderWay = asked.has(id) && !renewing.delete(id)
      const answer = Promise.withResolvers<V | undefined>()
      asked.set(id, answer)
      if (!isUnderWay) waiting.push(id)
      schedule()
      return answer.promise
    },
    renew(id) {
      if (asked.has(id)) return
      asked.set(id, undefined)
      renewing.add(id)
      schedule()
    },
    changed(tag) {
      for (const batch of underWay) batch.changed.add(tag)
    },
    appeared() {
      for (const batch of underWay) batch.appeared = true
    },
    allChanged() {
      for (const batch of underWay) batch.allChanged = true
    },
  }
}
