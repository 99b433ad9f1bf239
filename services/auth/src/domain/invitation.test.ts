import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createInvitationHash, invitationUrl, newInvitation, newInvitationToken } from './invitation.ts'

const NOW = new Date('2026-07-01T12:00:00Z')

describe('an invitation', () => {
  it('is good for three days', () => {
    const of = { email: 'ada@example.com', plan: 'pro', role: 'user', invitedBy: 'user_1' } as const
    expect(newInvitation(of, NOW, (bytes) => Buffer.alloc(bytes))).toEqual({
      id: 'inv_01kwersrg00000000000000000',
      ...of,
      createdAt: NOW,
      expiresAt: new Date('2026-07-04T12:00:00Z'),
    })
  })

  it('has a token of 190 random bits, kept as an HMAC under a key of this platform', () => {
    const [one, other] = [newInvitationToken(randomBytes), newInvitationToken(randomBytes)]
    expect(one).toMatch(/^iti_[0-9A-Za-z]{32}$/)
    expect(one).not.toBe(other)
    const [hash, elsewhere] = [randomBytes(32), randomBytes(32)].map(createInvitationHash)
    expect(hash?.(one)).toHaveLength(32)
    expect(hash?.(one)).toEqual(hash?.(one))
    expect(hash?.(one)).not.toEqual(hash?.(other))
    expect(hash?.(one)).not.toEqual(elsewhere?.(one))
  })

  it.each([
    ['http://localhost:8080', 'http://localhost:8080/invite#iti_x'],
    ['https://tunnels.example.com/', 'https://tunnels.example.com/invite#iti_x'],
  ])('has a link under %s, with the token where browsers send it to no server', (publicUrl, link) => {
    expect(invitationUrl('iti_x', publicUrl)).toBe(link)
  })
})
