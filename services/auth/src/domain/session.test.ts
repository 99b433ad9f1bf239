import { describe, expect, it } from 'vitest'
import { newSession } from './session.ts'

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
