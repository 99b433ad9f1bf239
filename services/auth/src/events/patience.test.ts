import { describe, expect, it } from 'vitest'
import { createPatience } from './patience.ts'

/** Keeps this process from hearing anything for a while. */
function standStill(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

/** Waits for something, and says how long until that was in vain. */
const wait = () => {
  const began = performance.now()
  const { promise, resolve } = Promise.withResolvers<number>()
  const patience = createPatience<string>(() => resolve(performance.now() - began))
  patience.wait('an answer')
  return { patience, ranOut: promise }
}

describe('createPatience', () => {
  it('waits for 20 ms', async () => {
    const took = await wait().ranOut
    expect(took).toBeGreaterThan(15)
  })

  it('tells nothing of what has come', async () => {
    const inVain: string[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    const patience = createPatience<string>((awaited) => {
      inVain.push(awaited)
      resolve()
    })
    for (const awaited of ['comes', 'stays away']) patience.wait(awaited)
    patience.end('comes')
    await promise
    expect(inVain).toEqual(['stays away'])
  })

  it('does not take its own standing still for the silence of another', async () => {
    const { patience, ranOut } = wait()
    const answer = new Promise((resolve) => setTimeout(resolve, 30, 'came'))
    // Longer than its patience, and the answer was there all the while.
    standStill(100)
    expect(await Promise.race([answer, ranOut])).toBe('came')
    patience.close()
  })

  it('begins anew after it was idle', async () => {
    const inVain: number[] = []
    let told = () => {}
    const patience = createPatience<number>((awaited) => {
      inVain.push(awaited)
      told()
    })
    for (const round of [1, 2]) {
      const { promise, resolve } = Promise.withResolvers<void>()
      told = resolve
      patience.wait(round)
      await promise
    }
    expect(inVain).toEqual([1, 2])
  })
})
