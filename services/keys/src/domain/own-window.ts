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

/** Past so many moments, neighbours merge. */
export const MOMENTS_MAX = 64

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
 * The moments with more uses, oldest first, at most 64 of them: of what is too many, those next to each other in time
 * become the later one, so that no use ever leaves the window early.
 */
export function withUses(moments: readonly Moment[], used: readonly Moment[]): Moment[] {
  const all = [...moments, ...used].filter(({ count }) => count > 0).sort((a, b) => a.at - b.at)
  while (all.length > MOMENTS_MAX) mergeNearest(all)
  return all
}

function mergeNearest(moments: Moment[]): void {
  let nearest = 0
  for (let i = 1; i + 1 < moments.length; i++)
    if (gapAfter(moments, i) < gapAfter(moments, nearest)) nearest = i
  const [earlier, later] = [moments[nearest] as Moment, moments[nearest + 1] as Moment]
  moments.splice(nearest, 2, { at: later.at, count: earlier.count + later.count })
}

const gapAfter = (moments: readonly Moment[], i: number) =>
  (moments[i + 1] as Moment).at - (moments[i] as Moment).at

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
