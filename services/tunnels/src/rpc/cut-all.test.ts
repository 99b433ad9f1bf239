import { afterEach, describe, expect, it, vi } from 'vitest'
import { cutAll } from './cut-all.ts'

const tunnels = Array.from({ length: 250 }, (_, n) => ({ id: `tun_${n}`, tokenGeneration: n }))

describe('cutAll', () => {
  afterEach(() => vi.useRealTimers())

  it('asks about each tunnel once, 16 at a time, and counts all that were cut', async () => {
    const asked: string[] = []
    let underWay = 0
    let most = 0
    const count = await cutAll(async ({ credentialId, tokenGeneration }) => {
      asked.push(credentialId)
      expect(credentialId).toBe(`tun_${tokenGeneration}`)
      most = Math.max(most, ++underWay)
      await new Promise((resolve) => setImmediate(resolve))
      underWay--
      return 2
    }, tunnels)
    expect(asked).toEqual(tunnels.map(({ id }) => id))
    expect([count, most]).toEqual([500, 16])
  })

  it('begins nothing more after 2 s, where a relay does not answer', async () => {
    vi.useFakeTimers()
    let asked = 0
    const counted = cutAll(async () => {
      asked++
      await new Promise((resolve) => setTimeout(resolve, 900))
      return 1
    }, tunnels)
    await vi.advanceTimersByTimeAsync(2700)
    expect([await counted, asked]).toEqual([48, 48])
  })
})
