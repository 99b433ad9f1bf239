import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createArrivals } from './arrivals.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const open = () => createArrivals({ now: () => new Date() })

describe('a visitor whose agent was here a moment ago', () => {
  it('waits, and hears at once that it is back, as all who wait do', async () => {
    const arrivals = open()
    arrivals.gone('docs')
    const waiting = [arrivals.expected('docs'), arrivals.expected('docs')]
    await vi.advanceTimersByTimeAsync(2999)
    arrivals.arrived('shop')
    arrivals.arrived('docs')
    expect(await Promise.all(waiting)).toEqual([true, true])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('waits 3 s at most', async () => {
    const arrivals = open()
    arrivals.gone('docs')
    const heard: boolean[] = []
    arrivals.expected('docs').then((back) => heard.push(back))
    await vi.advanceTimersByTimeAsync(2999)
    expect(heard).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(heard).toEqual([false])
  })

  it('waits no more once it has been gone for 10 s, or was back since', async () => {
    const arrivals = open()
    arrivals.gone('docs')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await arrivals.expected('docs')).toBe(false)
    arrivals.gone('docs')
    arrivals.arrived('docs')
    expect(await arrivals.expected('docs')).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('hears that it is not, when all ends', async () => {
    const arrivals = open()
    arrivals.gone('docs')
    const waiting = arrivals.expected('docs')
    arrivals.close()
    expect(await waiting).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })
})

it('a visitor whose agent never was waits for nothing', async () => {
  expect(await open().expected('docs')).toBe(false)
  expect(vi.getTimerCount()).toBe(0)
})
