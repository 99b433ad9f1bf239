import { status } from '@grpc/grpc-js'
import type { TunnelRecord } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { describe, expect, it } from 'vitest'
import { createClock } from '../test/clock.ts'
import { createKnownTunnels } from './known-tunnels.ts'

/** tunnels, which answers when the test says so; docs is a tunnel, and nothing else is. */
function open() {
  const clock = createClock()
  const asked: string[] = []
  const answers = new Map<string, PromiseWithResolvers<TunnelRecord>>()
  const known = createKnownTunnels({
    now: clock.now,
    tunnels: {
      lookUpSubdomain({ subdomain }) {
        asked.push(subdomain)
        const answer = Promise.withResolvers<TunnelRecord>()
        answers.set(subdomain, answer)
        return answer.promise
      },
    },
  })
  /** Has tunnels answer all that it was asked, or fail so. */
  const answer = (code: number = status.NOT_FOUND) => {
    for (const [subdomain, { resolve, reject }] of answers) {
      const record = { tunnelId: 'tun_1', userId: 'user_1', subdomain, tokenGeneration: 0, olderTunnels: 0 }
      if (subdomain === 'docs' && code === status.NOT_FOUND) resolve(record)
      else reject(Object.assign(new Error(), { code }))
    }
    answers.clear()
  }
  return { ...known, asked, answer, clock }
}

describe('a name that has changed hands', () => {
  it('is asked about anew, also where an answer of before is still under way', async () => {
    const { faultOf, forget, answer, asked } = open()
    const before = faultOf('none')
    answer()
    expect(await before).toBe('unknown')
    const underWay = [faultOf('docs')]
    for (const name of ['none', 'docs']) forget(name)
    answer()
    await Promise.all(underWay)
    const after = [faultOf('none'), faultOf('docs')]
    answer()
    expect(await Promise.all(after)).toEqual(['unknown', 'offline'])
    expect(asked).toEqual(['none', 'docs', 'none', 'docs'])
  })
})

describe('a tunnel without an agent', () => {
  it('is offline where it exists, and unknown where it does not', async () => {
    const { faultOf, answer } = open()
    const both = [faultOf('docs'), faultOf('none')]
    answer()
    expect(await Promise.all(both)).toEqual(['offline', 'unknown'])
  })

  it('is asked about once by all who want to know, and again after 5 s', async () => {
    const { faultOf, answer, asked, clock } = open()
    const all = [faultOf('docs'), faultOf('docs'), faultOf('docs')]
    answer()
    await Promise.all(all)
    clock.pass(5000)
    expect(await faultOf('docs')).toBe('offline')
    expect(asked).toEqual(['docs'])
    clock.pass(1)
    const again = faultOf('docs')
    answer()
    expect(await again).toBe('offline')
    expect(asked).toEqual(['docs', 'docs'])
  })

  it.each([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.INTERNAL])(
    'is not to be found out about while tunnels answers %i, and asked about anew at once',
    async (code) => {
      const { faultOf, answer, asked } = open()
      const first = faultOf('docs')
      answer(code)
      expect(await first).toBe('unavailable')
      const second = faultOf('docs')
      answer()
      expect(await second).toBe('offline')
      expect(asked).toHaveLength(2)
    },
  )

  it('with a name that no tunnel can have is unknown without asking', async () => {
    const { faultOf, asked } = open()
    expect(await faultOf('x'.repeat(64))).toBe('unknown')
    expect(asked).toEqual([])
  })
})

it('a flood of made-up names asks tunnels 64 at once at most, each once; the others are put off', async () => {
  const { faultOf, answer, asked } = open()
  const names = Array.from({ length: 1000 }, (_, n) => `made-up-${n}`)
  const flood = [...names, ...names].map((name) => faultOf(name))
  expect(asked).toHaveLength(64)
  expect(new Set(asked).size).toBe(64)
  answer()
  const told = await Promise.all(flood)
  expect(told.filter((each) => each === 'unknown')).toHaveLength(128)
  expect(told.filter((each) => each === 'unavailable')).toHaveLength(2000 - 128)
  const docs = faultOf('docs')
  answer()
  expect(await docs).toBe('offline')
})
