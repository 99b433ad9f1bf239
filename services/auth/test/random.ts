/** Whole numbers below a limit, which are the same for the same seed (mulberry32). */
export type Random = (limit: number) => number

export function randomOf(seed: number): Random {
  let state = seed * 0x9e3779b9
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}
