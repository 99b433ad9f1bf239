import { describe, expect, it } from 'vitest'
import { judgeSession, newSession } from './session.ts'

const NOW = new Date('2026-07-01T12:00:00Z')
const of = { userId: 'user_1', userAgent: 'curl/8', address: '203.0.113.7' }

describe('newSession', () => {
  it('lasts seven days', () => {
    expect(newSession(of, NOW, (bytes) => Buffer.alloc(bytes))).toEqual({
      id: 'ses_01kwersrg00000000000000000',
      userId: 'user_1',
      createdAt: NOW,
      expiresAt: new Date('2026-07-08T12:00:00Z'),
      userAgent: 'curl/8',
      address: '203.0.113.7',
    })
  })

  it('keeps 200 characters of the user agent', () => {
    expect(newSession({ ...of, userAgent: 'x'.repeat(10_000) }, NOW).userAgent).toBe('x'.repeat(200))
  })
})

describe('judgeSession', () => {
  const session = { expiresAt: NOW, endedAt: null, status: 'active' } as const
  const [before, after] = [new Date(NOW.getTime() - 1), new Date(NOW.getTime() + 1)]

  it('gives the session while it lives', () => {
    expect(judgeSession(session, before)).toBe(session)
  })

  it('says that it expired the moment that it does, and of one that is forgotten', () => {
    for (const time of [NOW, after]) expect(judgeSession(session, time)).toBe('session_expired')
    expect(judgeSession(undefined, before)).toBe('session_expired')
  })

  it('says that it was ended, also when its time is over', () => {
    for (const time of [before, after])
      expect(judgeSession({ ...session, endedAt: before }, time)).toBe('session_ended')
  })

  it('says first that its account is suspended: that is why it was ended', () => {
    for (const endedAt of [null, before])
      expect(judgeSession({ ...session, endedAt, status: 'suspended' }, before)).toBe('account_suspended')
  })
})
