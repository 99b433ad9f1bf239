import { describe, expect, it } from 'vitest'
import { createClock } from '../test/clock.ts'
import { createEndedCredentials, type Granted, tokenOf } from './ended-credentials.ts'

const NOON = Date.parse('2026-07-01T12:00:00Z')
const after = (ms: number) => new Date(NOON + ms)

/** What was granted at noon. */
const granted = (of: Partial<Granted> = {}): Granted => ({
  tunnelId: 'tun_1',
  subdomain: 'docs',
  userId: 'user_1',
  credential: { type: 'api_key', id: 'key_1', sessionId: 'ses_1' },
  issuedAt: NOON / 1000,
  ...of,
})
const withToken = granted({ credential: { type: 'tunnel_token', id: 'tun_1' } })

const open = (clock = createClock()) => createEndedCredentials(clock.now)

describe('what was granted', () => {
  it.each(['key_1', 'ses_1', 'tun_1'])('has ended where %s has since', (subject) => {
    const ended = open()
    ended.add(subject, after(0))
    expect(ended.since(granted())).toBe(true)
    expect(ended.since(granted({ issuedAt: NOON / 1000 + 1 }))).toBe(false)
  })

  it('has not ended where another credential, or an earlier one, has', () => {
    const ended = open()
    for (const subject of ['key_2', 'ses_2', 'tun_2', tokenOf('tun_1')]) ended.add(subject, after(1))
    ended.add('key_1', after(-1))
    expect(ended.since(granted())).toBe(false)
  })

  it("with a tunnel's token has ended where that tunnel has another since", () => {
    const ended = open()
    ended.add(tokenOf('tun_1'), after(0))
    expect(ended.since(withToken)).toBe(true)
    expect(ended.since(granted())).toBe(false)
  })

  it('has ended where it is for a name that the tunnel has no more', () => {
    const ended = open()
    ended.renamed('tun_1', 'manual', after(1))
    expect(ended.since(granted())).toBe(true)
    expect(ended.since(granted({ subdomain: 'manual' }))).toBe(false)
    ended.renamed('tun_1', 'docs', after(2))
    expect(ended.since(granted())).toBe(false)
    expect(ended.since(granted({ subdomain: 'manual' }))).toBe(true)
  })

  it('by a name that was given up long before it was granted has not ended: the tunnel has it again', () => {
    const ended = open()
    ended.renamed('tun_1', 'manual', after(-10_000))
    expect(ended.since(granted())).toBe(false)
  })

  it.each(['key_1', 'user_1'])(
    'is in doubt where something about %s has changed since, or just before',
    (subject) => {
      const ended = open()
      expect(ended.doubts(granted())).toBe(false)
      ended.changed(subject, after(-4000))
      expect(ended.doubts(granted())).toBe(true)
      expect(ended.since(granted())).toBe(false)
      expect(ended.doubts(granted({ issuedAt: NOON / 1000 + 10 }))).toBe(false)
    },
  )

  it('is in doubt where it was granted just after its end: who granted it may not have seen that', () => {
    const ended = open()
    ended.add('key_1', after(-900))
    expect(ended.since(granted())).toBe(false)
    expect(ended.doubts(granted())).toBe(true)
  })
})

describe('what was heard', () => {
  it('is not undone by hearing again what was before it', () => {
    const ended = open()
    ended.add('key_1', after(1000))
    ended.changed('key_1', after(-60_000))
    expect(ended.since(granted())).toBe(true)
  })

  it('is remembered for two minutes, longer than a connect token is good for', () => {
    const clock = createClock()
    const ended = open(clock)
    ended.add('key_1', clock.now())
    clock.pass(119_999)
    ended.add('key_2', clock.now())
    expect(ended.since(granted())).toBe(true)
    clock.pass(1)
    ended.add('key_3', clock.now())
    expect(ended.since(granted())).toBe(false)
  })
})

describe('a tunnel’s response timeout', () => {
  it('is what was heard since the tunnel was granted, or may have been', () => {
    const ended = open()
    expect(ended.limitSince(granted())).toBeUndefined()
    ended.limited('tun_1', 0, after(1000))
    ended.limited('tun_2', 5, after(1000))
    expect(ended.limitSince(granted())).toEqual({ responseTimeout: 0 })
    expect(ended.limitSince(granted({ issuedAt: NOON / 1000 + 7 }))).toBeUndefined()
    ended.limited('tun_1', undefined, after(2000))
    ended.limited('tun_1', 0, after(1000))
    expect(ended.limitSince(granted())).toEqual({ responseTimeout: undefined })
    expect([ended.since(granted()), ended.doubts(granted())]).toEqual([false, false])
  })
})
