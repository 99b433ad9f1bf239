import { describe, expect, it } from 'vitest'
import { createPatience, type Patience } from './patience.ts'

/** Keeps this process from hearing anything for a while. */
function standStill(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

/** Patience, and how long it lasts where nothing comes. */
function waiting() {
  let ranOut = () => {}
  const patience = createPatience<string>(() => ranOut())
  const lasts = async () => {
    const began = performance.now()
    const { promise, resolve } = Promise.withResolvers<number>()
    ranOut = () => resolve(performance.now() - began)
    patience.wait('nothing')
    return promise
  }
  return { patience, lasts }
}

/** So many answers that come at once. */
function quickAnswers(patience: Patience<string>, count: number): void {
  for (let i = 0; i < count; i++) {
    patience.wait('an answer')
    patience.came('an answer')
  }
}

describe('createPatience', () => {
  it('lasts 20 ms where answers come at once, and 400 ms where it is not known, or one stayed away', async () => {
    const { patience, lasts } = waiting()
    expect(await lasts()).toBeGreaterThan(380)
    quickAnswers(patience, 50)
    const short = await lasts()
    expect(short).toBeGreaterThan(15)
    expect(short).toBeLessThan(200)
    expect(await lasts()).toBeGreaterThan(380)
  })

  it('tells nothing of what has come, or will not come', async () => {
    const inVain: string[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    const patience = createPatience<string>((awaited) => {
      inVain.push(awaited)
      resolve()
    })
    for (const awaited of ['comes', 'is dead', 'stays away']) patience.wait(awaited)
    patience.came('comes')
    patience.forget('is dead')
    await promise
    expect(inVain).toEqual(['stays away'])
  })

  it('does not take its own standing still for the silence of another', async () => {
    const { patience, lasts } = waiting()
    quickAnswers(patience, 50)
    const ranOut = lasts()
    const answer = new Promise((resolve) => setTimeout(resolve, 5, 'came'))
    // Far longer than its patience, and the answer was there all the while.
    standStill(200)
    expect(await Promise.race([answer, ranOut])).toBe('came')
    patience.close()
  })
})
