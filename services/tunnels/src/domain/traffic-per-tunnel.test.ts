import { describe, expect, it } from 'vitest'
import { type TunnelUse, trafficPerTunnel } from './traffic-per-tunnel.ts'

const now = new Date('2026-03-01T00:01:30Z')
const [a, b] = ['tun_01h00000000000000000000000', 'tun_01h00000000000000000000001']

const use = (more: Partial<TunnelUse> = {}): TunnelUse => ({
  tunnelId: a,
  userId: 'user_01h00000000000000000000000',
  minute: new Date('2026-03-01T00:01:00Z'),
  requests: 1,
  bytesIn: 10,
  bytesOut: 100,
  statusClasses: [0, 1, 0, 0, 0],
  latencies: [3, 1],
  ...more,
})
const at = (minute: string, more: Partial<TunnelUse> = {}) => use({ minute: new Date(minute), ...more })

/** The periods of what was told, as "tunnel's last letter unit start requests". */
const told = (uses: readonly TunnelUse[]) =>
  trafficPerTunnel(uses, now).map(
    ({ tunnelId, unit, start, requests }) =>
      `${tunnelId.at(-1)} ${unit} ${start.toISOString().slice(0, 16)} ${requests}`,
  )

describe('trafficPerTunnel', () => {
  it('sums each tunnel up by the minute, by the day and in all, in one order', () => {
    const uses = [use({ tunnelId: b }), use(), use({ requests: 2 }), at('2026-03-01T00:00:00Z')]
    const sums = [
      '0 all 1970-01-01T00:00 4',
      '0 day 2026-03-01T00:00 4',
      '0 minute 2026-03-01T00:00 1',
      '0 minute 2026-03-01T00:01 3',
      '1 all 1970-01-01T00:00 1',
      '1 day 2026-03-01T00:00 1',
      '1 minute 2026-03-01T00:01 1',
    ]
    expect(told(uses)).toEqual(sums)
    expect(told(uses.reverse())).toEqual(sums)
  })

  it('adds everything that is told of a period', () => {
    const uses = [use(), use({ statusClasses: [1, 0, 0, 2, 9], latencies: [0, 4, 3, 2, 5, 1] })]
    expect(trafficPerTunnel(uses, now).find(({ unit }) => unit === 'minute')).toEqual({
      tunnelId: a,
      unit: 'minute',
      start: new Date('2026-03-01T00:01:00Z'),
      requests: 2,
      bytesIn: 20,
      bytesOut: 200,
      statusClasses: [1, 1, 0, 2, 9],
      latencies: [4, 0, 0, 3, 0, 1],
    })
  })

  it('puts what lies before midnight, in UTC, into the day before', () => {
    expect(told([at('2026-02-28T23:59:59.999Z'), at('2026-03-01T00:00:00Z')])).toEqual([
      '0 all 1970-01-01T00:00 2',
      '0 day 2026-02-28T00:00 1',
      '0 day 2026-03-01T00:00 1',
      '0 minute 2026-02-28T23:59 1',
      '0 minute 2026-03-01T00:00 1',
    ])
  })

  it.each([
    ['24 h 59 min ago', '2026-02-27T23:02:00Z', ['all', 'day', 'minute']],
    ['25 h 1 min ago', '2026-02-27T23:00:00Z', ['all', 'day']],
    ['399 days ago', '2025-01-26T00:02:00Z', ['all', 'day']],
    ['401 days ago', '2025-01-24T00:00:00Z', ['all']],
    ['before there was time', '-200000-01-01T00:00:00Z', ['all']],
    ['5 min ahead', '2026-03-01T00:06:00Z', ['all', 'day', 'minute']],
    ['an hour ahead', '2026-03-01T01:00:00Z', []],
    ['at no time', 'never', []],
  ])('keeps of a minute %s what is kept of such', (_, minute, units) => {
    expect(trafficPerTunnel([at(minute)], now).map(({ unit }) => unit)).toEqual(units)
  })

  it.each([
    ['without a minute', { minute: undefined }],
    ['of no tunnel', { tunnelId: 'tun_\0' }],
    ['of no user', { userId: '' }],
    ['of nothing', { requests: 0, bytesIn: 0, bytesOut: 0 }],
    ['of no amounts', { requests: Number.NaN, bytesIn: -1, bytesOut: 1e300 }],
  ])('counts a use %s for nothing', (_, more) => {
    expect(trafficPerTunnel([use(more)], now)).toEqual([])
  })

  it('counts what is garbage beside it for nothing', () => {
    const latencies = [-1, 1, 128, 1, 0.5, 1, Number.NaN, 1, 2, Number.NaN, 2, -3, 127, 1, 7]
    const statusClasses = [Number.NaN, 2 ** 60, 3]
    const [all] = trafficPerTunnel([use({ latencies, statusClasses })], now)
    expect(all?.latencies).toEqual([...new Array(127).fill(0), 1])
    expect(all?.statusClasses).toEqual([0, 0, 3, 0, 0])
  })
})
