const MAX_BATCH = 500
// More would only wait for the same database; what comes meanwhile goes along with the next.
const MAX_UNDER_WAY = 8

/** Looks things up by their ids. */
export interface LookUps<V> {
  /** What has this id; undefined where nothing has. Rejects as the look-up does. */
  of(id: string): Promise<V | undefined>
  /** What carries this tag is otherwise from now on. */
  changed(tag: string): void
  /** What was not there may be there from now on. */
  appeared(): void
  /** All may be otherwise. */
  allChanged(): void
}

/** How things are looked up. */
export interface LookUpOptions<V> {
  /** Finds what there is of many ids. */
  lookUp(ids: readonly string[]): Promise<ReadonlyMap<string, V>>
  tagsOf(value: V): readonly string[]
  now(): Date
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
  const { lookUp, tagsOf, now, learned } = options
  const asked = new Map<string, PromiseWithResolvers<V | undefined>>()
  const underWay = new Set<UnderWay>()
  let waiting: string[] = []
  let isDue = false

  const schedule = () => {
    if (isDue || waiting.length === 0 || underWay.size >= MAX_UNDER_WAY) return
    isDue = true
    setImmediate(() => {
      isDue = false
      begin()
      schedule()
    })
  }
  const begin = () => {
    const ids = waiting.slice(0, MAX_BATCH)
    waiting = waiting.slice(MAX_BATCH)
    const batch: UnderWay = { changed: new Set(), appeared: false, allChanged: false }
    underWay.add(batch)
    const beganAt = now().getTime()
    lookUp(ids)
      .then(
        (found) => {
          for (const id of ids) take(id, found.get(id), batch, beganAt)
        },
        (error) => {
          for (const id of ids) settle(id)?.reject(error)
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
      const under = asked.get(id)
      if (under) return under.promise
      const answer = Promise.withResolvers<V | undefined>()
      asked.set(id, answer)
      waiting.push(id)
      schedule()
      return answer.promise
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
