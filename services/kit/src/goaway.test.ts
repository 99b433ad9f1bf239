import { describe, expect, it } from 'vitest'
import { goaways, isGoawayReason } from './goaway.ts'

describe('goaways', () => {
  it('fit their frame, and are told in a sentence', () => {
    for (const [reason, { message }] of Object.entries(goaways)) {
      expect(reason).toMatch(/^[a-z_]{1,64}$/)
      expect(message).toMatch(/^[A-Z][^\n]{1,120}[^.]$/)
    }
  })

  it('have an agent come again only where another connection may stand', () => {
    const again = Object.entries(goaways).filter(([, { after }]) => after === 'reconnect')
    expect(again.map(([reason]) => reason)).toEqual(['draining', 'tunnel_changed', 'stalled'])
  })
})

describe('isGoawayReason', () => {
  it.each(['draining', 'key_revoked', 'leaving'])('knows %s', (reason) => {
    expect(isGoawayReason(reason)).toBe(true)
  })

  it.each(['', 'Draining', 'draining ', 'toString', '__proto__', 'constructor'])('knows no %j', (text) => {
    expect(isGoawayReason(text)).toBe(false)
  })
})
