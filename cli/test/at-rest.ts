import { expect } from 'vitest'

/** Waits until a number stays the same from one look to the next. */
export async function atRest(look: () => number): Promise<void> {
  let before = Number.NaN
  const isSame = () => {
    const now = look()
    const same = now === before
    before = now
    return same
  }
  await expect.poll(isSame, { interval: 200, timeout: 10_000 }).toBe(true)
}
