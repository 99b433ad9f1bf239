import { describe, expect, it } from 'vitest'
import { idleUntil, type LastUse, type Presence } from './presence.ts'

const at = (seconds: number) => new Date(seconds * 1000)

const tunnel = (id: string, createdAt: number, lastConnected?: number): LastUse => ({
  id,
  createdAt: at(createdAt),
  lastConnected: lastConnected === undefined ? null : at(lastConnected),
})

/** What was seen of each tunnel: since when it was without an agent. */
const seen = (absent: Record<string, number>): Presence => ({
  isActive: (id) => absent[id] === undefined,
  absentSince: (id) => (absent[id] === undefined ? undefined : at(absent[id])),
})

const idle = (tunnels: readonly LastUse[], absent: Record<string, number>) =>
  idleUntil(tunnels, at(100), seen(absent)).map(({ id }) => id)

describe('idleUntil', () => {
  it('counts from the latest of when it was made, when an agent came and when it was seen with one', () => {
    expect(idle([tunnel('made', 101)], { made: 0 })).toEqual([])
    expect(idle([tunnel('connected', 0, 101)], { connected: 0 })).toEqual([])
    expect(idle([tunnel('left', 0, 0)], { left: 101 })).toEqual([])
    expect(idle([tunnel('idle', 100, 100)], { idle: 100 })).toEqual(['idle'])
  })

  it('leaves out what has an agent, or may have one', () => {
    expect(idle([tunnel('busy', 0), tunnel('idle', 0)], { idle: 0 })).toEqual(['idle'])
  })

  it('names those first that have waited longest', () => {
    const tunnels = [tunnel('late', 0, 90), tunnel('early', 10, 20), tunnel('middle', 50)]
    expect(idle(tunnels, { late: 0, early: 0, middle: 0 })).toEqual(['early', 'middle', 'late'])
  })
})
