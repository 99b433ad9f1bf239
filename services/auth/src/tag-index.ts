/** Finds the ids of what carries a tag. */
export interface TagIndex {
  add(id: string, tags: readonly string[]): void
  remove(id: string, tags: readonly string[]): void
  /** Those of all that carry it, as they are now. */
  of(tag: string): readonly string[]
}

/** Most tags are of one thing only, which then stands by itself: a set for each would cost as much as what it holds. */
export function createTagIndex(): TagIndex {
  const tagged = new Map<string, string | Set<string>>()
  return {
    add(id, tags) {
      for (const tag of tags) {
        const others = tagged.get(tag)
        if (others === undefined) tagged.set(tag, id)
        else if (typeof others === 'string') tagged.set(tag, new Set([others, id]))
        else others.add(id)
      }
    },
    remove(id, tags) {
      for (const tag of tags) {
        const ids = tagged.get(tag)
        if (ids === id) tagged.delete(tag)
        else if (typeof ids === 'object' && ids.delete(id) && ids.size === 0) tagged.delete(tag)
      }
    },
    of(tag) {
      const ids = tagged.get(tag)
      if (ids === undefined) return []
      return typeof ids === 'string' ? [ids] : [...ids]
    },
  }
}
