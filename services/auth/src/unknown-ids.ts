// Twice so many at most: whoever guesses ids fills no more memory than this.
const MAX_IDS = 50_000

/** Ids that nothing has, as of a time; the last fifty thousand at least. */
export interface UnknownIds {
  add(id: string, at: number): void
  delete(id: string): void
  /** When it was found that nothing has this id; undefined where that is not known. */
  at(id: string): number | undefined
  clear(): void
}

/**
 * The oldest go as a whole: to look for the oldest one is to pass by all that went before it, which a map keeps the place
 * of for as long as it can (10 µs, where a hundred thousand are known).
 */
export function createUnknownIds(): UnknownIds {
  let recent = new Map<string, number>()
  let older = new Map<string, number>()
  return {
    add(id, at) {
      if (recent.size >= MAX_IDS && !recent.has(id)) {
        older = recent
        recent = new Map()
      }
      recent.set(id, at)
    },
    delete(id) {
      recent.delete(id)
      older.delete(id)
    },
    at: (id) => recent.get(id) ?? older.get(id),
    clear() {
      recent.clear()
      older.clear()
    },
  }
}
