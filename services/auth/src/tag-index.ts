/** Finds what carries a tag. */
export interface TagIndex<T> {
  add(item: T, tags: readonly string[]): void
  remove(item: T, tags: readonly string[]): void
  /** All that carry it, as they are now. */
  of(tag: string): readonly T[]
}

/** Most tags are of one thing only, which then stands by itself: a set for each would cost as much as what it holds. */
export function createTagIndex<T extends object>(): TagIndex<T> {
  const tagged = new Map<string, T | Set<T>>()
  return {
    add(item, tags) {
      for (const tag of tags) {
        const others = tagged.get(tag)
        if (others === undefined) tagged.set(tag, item)
        else if (others instanceof Set) others.add(item)
        else tagged.set(tag, new Set([others, item]))
      }
    },
    remove(item, tags) {
      for (const tag of tags) {
        const items = tagged.get(tag)
        if (items === item) tagged.delete(tag)
        else if (items instanceof Set && items.delete(item) && items.size === 0) tagged.delete(tag)
      }
    },
    of(tag) {
      const items = tagged.get(tag)
      if (items === undefined) return []
      return items instanceof Set ? [...items] : [items]
    },
  }
}
