import { cellsOf, mergedByCell } from '@instatunnel/kit/moments'

/** Uses of one moment, in Unix milliseconds. */
export interface Moment {
  readonly at: number
  readonly count: number
}

/** A key's own window: so many uses in any span of this length. */
export interface OwnWindow {
  readonly lengthMs: number
  readonly max: number
}

// So many are kept as they are. With what holders merge before they settle, a use leaves late by a 64th at most.
const EXACT_MOMENTS = 64
const CELLS = 96

/** How many uses there are. */
export const countOf = (moments: readonly Moment[]): number =>
  moments.reduce((sum, { count }) => sum + count, 0)

/** The moments that are still in the window: one leaves it exactly its length later. */
export const inWindow = (
  moments: readonly Moment[],
  { lengthMs }: OwnWindow,
  now: number,
): readonly Moment[] =>
  moments.some(({ at }) => at + lengthMs <= now) ? moments.filter(({ at }) => at + lengthMs > now) : moments

/**
 * The moments with more uses, oldest first. Past 64, those of one cell of the window become the latest of them: no use
 * ever leaves early, and late by less than a ninety-sixth of the window.
 */
export function withUses(
  moments: readonly Moment[],
  used: readonly Moment[],
  { lengthMs }: OwnWindow,
): readonly Moment[] {
  const all = [...moments, ...used].filter(({ count }) => count > 0).sort((a, b) => a.at - b.at)
  if (all.length <= EXACT_MOMENTS) return all
  const { times, counts } = mergedByCell(
    all.map(({ at }) => at),
    all.map(({ count }) => count),
    cellsOf(lengthMs / CELLS),
  )
  return times.map((at, i) => ({ at, count: counts[i] as number }))
}

/** When the window admits one more, where nothing is used meanwhile. */
export function freeAt(moments: readonly Moment[], { lengthMs, max }: OwnWindow, now: number): number {
  let counted = countOf(moments)
  for (const { at, count } of moments) {
    if (counted < max) return now
    counted -= count
    if (counted < max) return at + lengthMs
  }
  return now
}
