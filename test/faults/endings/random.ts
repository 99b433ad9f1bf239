/** Numbers that look random and follow from a seed: a run that failed can be run again. */
export interface Random {
  /** From 0 up to below this, whole. */
  below(limit: number): number
  oneOf<Item>(items: readonly Item[]): Item
}

/** mulberry32: small, and good enough to mix cases. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const below = (limit: number) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
  return { below, oneOf: (items) => items[below(items.length)] as (typeof items)[number] }
}
