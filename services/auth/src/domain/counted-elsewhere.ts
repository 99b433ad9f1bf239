/** Who counted a take, and when, by its clock. */
export interface CountedElsewhere {
  readonly owner: string
  readonly at: number
}

/** What other replicas counted for this one, or it did in their place, for as long as it may be given back. */
export interface TakesElsewhere {
  note(subject: string, now: Date, counted: CountedElsewhere): void
  /** Who counted the take of that subject at that time, once; undefined where it was counted here and then. */
  claim(subject: string, now: Date): CountedElsewhere | undefined
}

// Twice so many at most. A take is given back within the call that made it, or never; one that was forgotten until then
// stays counted, and admits nobody.
const MAX_TAKES = 10_000

/** Creates it, empty. */
export function createTakesElsewhere(): TakesElsewhere {
  let recent = new Map<string, CountedElsewhere[]>()
  let older = recent
  return {
    note(subject, now, counted) {
      if (recent.size >= MAX_TAKES) {
        older = recent
        recent = new Map()
      }
      const name = nameOf(subject, now)
      const noted = recent.get(name)
      if (noted) noted.push(counted)
      else recent.set(name, [counted])
    },
    claim(subject, now) {
      const name = nameOf(subject, now)
      const takes = recent.get(name) ?? older.get(name)
      return takes?.pop()
    },
  }
}

const nameOf = (subject: string, now: Date) => `${now.getTime()} ${subject}`
