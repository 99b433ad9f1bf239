import { status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { createClock } from '../test/clock.ts'
import { createKnownTunnels } from './known-tunnels.ts'

/** tunnels, which answers when the test says so; docs is a tunnel, and nothing else is. */
function open() {
  const clock = createClock()
  const batches: string[][] = []
  let asked = Promise.withResolvers<void>()
  let answering: PromiseWithResolvers<{ found: string[] }> | undefined
  const known = createKnownTunnels({
    now: clock.now,
    tunnels: {
      lookUpSubdomains({ subdomains }) {
        batches.push(subdomains)
        answering = Promise.withResolvers()
        asked.resolve()
        return answering.promise
      },
    },
  })
  /** Has tunnels answer what it is asked next, or fail so. */
  const answer = async (code?: number) => {
    await asked.promise
    asked = Promise.withResolvers()
    if (code === undefined)
      answering?.resolve({ found: batches.at(-1)?.filter((name) => name === 'docs') ?? [] })
    else answering?.reject(Object.assign(new Error(), { code }))
  }
  return { ...known, batches, answer, clock, underWay: () => asked.promise }
}

describe('a name that has changed hands', () => {
  it('is asked about anew, also where an answer of before is still under way', async () => {
    const { faultOf, forget, answer, batches, underWay } = open()
    const before = faultOf('none')
    await answer()
    expect(await before).toBe('unknown')
    const asking = faultOf('docs')
    await underWay()
    for (const name of ['none', 'docs']) forget(name)
    const after = [faultOf('none'), faultOf('docs')]
    await answer()
    await asking
    await answer()
    expect(await Promise.all(after)).toEqual(['unknown', 'offline'])
    expect(batches).toEqual([['none'], ['docs'], ['none', 'docs']])
  })

  it('has no answer of before cached', async () => {
    const { faultOf, forget, answer, batches, underWay } = open()
    const before = faultOf('docs')
    await underWay()
    forget('docs')
    await answer()
    await before
    const after = faultOf('docs')
    await answer()
    expect(await after).toBe('offline')
    expect(batches).toEqual([['docs'], ['docs']])
  })
})

describe('a tunnel without an agent', () => {
  it('is offline where it exists, and unknown where it does not', async () => {
    const { faultOf, answer } = open()
    const both = [faultOf('docs'), faultOf('none')]
    await answer()
    expect(await Promise.all(both)).toEqual(['offline', 'unknown'])
  })

  it('is asked about once by all who want to know, and again after 5 s', async () => {
    const { faultOf, answer, batches, clock, underWay } = open()
    const first = [faultOf('docs'), faultOf('docs')]
    await underWay()
    const all = [...first, faultOf('docs')]
    await answer()
    await Promise.all(all)
    clock.pass(5000)
    expect(await faultOf('docs')).toBe('offline')
    expect(batches).toEqual([['docs']])
    clock.pass(1)
    const again = faultOf('docs')
    await answer()
    expect(await again).toBe('offline')
    expect(batches).toEqual([['docs'], ['docs']])
  })

  it.each([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.INTERNAL])(
    'is not to be found out about while tunnels answers %i, and asked about anew at once',
    async (code) => {
      const { faultOf, answer, batches, underWay } = open()
      const first = faultOf('docs')
      await underWay()
      const waiting = faultOf('none')
      await answer(code)
      expect(await Promise.all([first, waiting])).toEqual(['unavailable', 'unavailable'])
      const second = faultOf('docs')
      await answer()
      expect(await second).toBe('offline')
      expect(batches).toHaveLength(2)
    },
  )

  it('with a name that no tunnel can have is unknown without asking', async () => {
    const { faultOf, batches } = open()
    expect(await faultOf('x'.repeat(64))).toBe('unknown')
    expect(batches).toEqual([])
  })
})

describe('a flood of made-up names', () => {
  const names = (count: number) => Array.from({ length: count }, (_, n) => `made-up-${n}`)

  it('is looked up 500 at a time, each once, and keeps nobody from an answer', async () => {
    const { faultOf, answer, batches } = open()
    const flood = [...names(4000), ...names(4000), 'docs'].map((name) => faultOf(name))
    for (let batch = 0; batch < 9; batch++) await answer()
    const told = await Promise.all(flood)
    expect(told.slice(0, -1).every((each) => each === 'unknown')).toBe(true)
    expect(told.at(-1)).toBe('offline')
    expect(batches.map(({ length }) => length)).toEqual([...Array(8).fill(500), 1])
  })

  it('waits in bounded memory while tunnels does not answer', async () => {
    const { faultOf, answer, underWay } = open()
    const asking = faultOf('docs')
    await underWay()
    const waiting = names(20_000).map((name) => faultOf(name))
    expect(await faultOf('one-more')).toBe('unavailable')
    expect(await Promise.race([faultOf('made-up-1'), 'waits'])).toBe('waits')
    await answer(status.DEADLINE_EXCEEDED)
    expect(new Set(await Promise.all([asking, ...waiting]))).toEqual(new Set(['unavailable']))
  })
})
