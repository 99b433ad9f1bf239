import { describe, expect, it } from 'vitest'
import { createSignInTurns } from './sign-in-turns.ts'

const busy = { reason: 'PASSWORDS_BUSY', details: { retryAfterSeconds: 1 } }
const times = (count: number) => Array.from({ length: count }, (_, i) => i)
const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve))

/** Stands in for a machine that is busy with something else. */
function block(ms: number) {
  const end = performance.now() + ms
  while (performance.now() < end);
}

describe('sign-ins', () => {
  it('go on two at once and then in the order that they came; past 64 that wait, they are refused', async () => {
    const signInTurn = createSignInTurns()
    const gone: number[] = []
    const all = times(66).map((i) => signInTurn().then(() => gone.push(i)))
    await expect(signInTurn()).rejects.toMatchObject(busy)
    expect(gone).toEqual([0, 1])
    await Promise.all(all)
    expect(gone).toEqual(times(66))
    await signInTurn()
  })

  it('go on two in a turn of the event loop, however late it is: what else came meanwhile has its turn', async () => {
    const signInTurn = createSignInTurns()
    let gone = 0
    const all = times(20).map(() => signInTurn().then(() => gone++))
    await turnOfTheLoop()
    for (const turn of times(5)) {
      const before = gone
      block(20)
      await turnOfTheLoop()
      expect(gone - before, `turn ${turn}`).toBeLessThanOrEqual(2)
    }
    await Promise.all(all)
  })

  it('leave their place where their caller goes away', async () => {
    const signInTurn = createSignInTurns()
    const leaving = new AbortController()
    for (const _ of times(2)) void signInTurn()
    const left = times(64).map(() => signInTurn(leaving.signal).catch((error: Error) => error.name))
    await expect(signInTurn()).rejects.toMatchObject(busy)
    leaving.abort()
    expect(await Promise.all(left)).toEqual(Array(64).fill('AbortError'))
    await signInTurn()
  })
})
