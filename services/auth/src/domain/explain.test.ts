import { describe, expect, it } from 'vitest'
import { aKey } from '../../test/known-key.ts'
import {
  explainAddress,
  explainEnabled,
  explainExpiry,
  explainKnown,
  explainOwnWindow,
  explainRate,
  explainRemaining,
  explainScope,
} from './explain.ts'

const NOW = new Date('2026-07-01T12:00:00Z')
const told = (name: string, passed: boolean, message: string) => ({ name, passed, message })

describe('what people are told of a key', () => {
  it('that it is there, or that its session is over', () => {
    expect(explainKnown(aKey(), NOW)).toEqual(told('key', true, 'The key is known'))
    const ended = told('key', false, 'The session that the key belongs to has ended')
    expect(explainKnown(aKey({}, { expiresAt: NOW }), NOW)).toEqual(ended)
    expect(explainKnown('session_ended', NOW)).toEqual(ended)
  })

  it('whether it is enabled', () => {
    expect(explainEnabled(aKey())).toEqual(told('enabled', true, 'The key is enabled'))
    expect(explainEnabled(aKey({ enabled: false }))).toEqual(told('enabled', false, 'The key is disabled'))
  })

  it('when it expires', () => {
    const soon = new Date(NOW.getTime() + 1)
    expect(explainExpiry(aKey(), NOW)).toEqual(told('expiry', true, 'The key never expires'))
    expect(explainExpiry(aKey({ expiresAt: soon }), NOW)).toEqual(
      told('expiry', true, 'The key expires at 2026-07-01T12:00:00.001Z'),
    )
    expect(explainExpiry(aKey({ expiresAt: NOW }), NOW)).toEqual(
      told('expiry', false, 'The key expired at 2026-07-01T12:00:00.000Z'),
    )
  })

  it('where it may be used from', () => {
    const key = aKey({ allowedIps: ['192.0.2.0/24', '::1/128'] })
    const explain = (address?: string) => explainAddress(key, address)
    expect(explainAddress(aKey(), '203.0.113.7')).toEqual(
      told('allowed_ips', true, 'The key may be used from everywhere'),
    )
    expect(explain('192.0.2.7')).toEqual(
      told('allowed_ips', true, 'The address 192.0.2.7 is in 192.0.2.0/24, ::1/128'),
    )
    expect(explain('203.0.113.7')).toEqual(
      told('allowed_ips', false, 'The address 203.0.113.7 is not in 192.0.2.0/24, ::1/128'),
    )
    expect(explain()).toEqual(
      told('allowed_ips', true, 'No address was told; the key may be used from 192.0.2.0/24, ::1/128 only'),
    )
  })

  it('which scope it holds, or who lacks it', () => {
    const key = aKey({ permissions: ['tunnels:read', 'users:manage'] })
    expect(explainScope(key, 'tunnels:read')).toEqual(told('scope', true, 'The key holds tunnels:read'))
    expect(explainScope(key, 'tunnels:write')).toEqual(told('scope', false, 'The key lacks tunnels:write'))
    expect(explainScope(key, 'users:manage')).toEqual(
      told('scope', false, "The key's owner lacks users:manage"),
    )
    expect(explainScope(key, 'any')).toEqual(told('scope', true, 'Any key may call this'))
  })

  it('what the general limit still admits', () => {
    const rate = { admitted: true, limit: 100, remaining: 97, resetSeconds: 60 }
    expect(explainRate(rate, 'reading calls')).toEqual(
      told('rate_limit', true, '97 of 100 reading calls a minute are left'),
    )
    expect(explainRate({ ...rate, admitted: false, remaining: 0, resetSeconds: 7 }, 'reading calls')).toEqual(
      told('rate_limit', false, 'None of 100 reading calls a minute is left; try again in 7 s'),
    )
  })

  it('what its own window still admits', () => {
    const key = aKey({ isMetered: true, rateLimitMax: 10, rateLimitTimeWindow: 60_000 })
    const without = told('key_rate_limit', true, 'No rate limit of its own holds the key back')
    expect(explainOwnWindow(key, { windowRemaining: 9 })).toEqual(
      told('key_rate_limit', true, '9 of 10 calls in 60 s are left to the key'),
    )
    expect(explainOwnWindow(key, { windowRemaining: 0, retryAfterSeconds: 3 })).toEqual(
      told('key_rate_limit', false, 'None of 10 calls in 60 s is left to the key; try again in 3 s'),
    )
    expect(explainOwnWindow(aKey(), {})).toEqual(without)
    expect(explainOwnWindow(aKey({ rateLimitEnabled: false, rateLimitMax: 1 }), {})).toEqual(without)
    const short = aKey({ rateLimitMax: 1, rateLimitTimeWindow: 1500 })
    expect(explainOwnWindow(short, { windowRemaining: 1 }).message).toBe(
      '1 of 1 calls in 1500 ms are left to the key',
    )
  })

  it('how many uses remain', () => {
    expect(explainRemaining({})).toEqual(told('remaining', true, "The key's uses are not counted down"))
    expect(explainRemaining({ remaining: 2 })).toEqual(told('remaining', true, '2 uses remain'))
    expect(explainRemaining({ remaining: 1 }).message).toBe('1 use remains')
    expect(explainRemaining({ remaining: 0 })).toEqual(told('remaining', false, 'No use remains'))
    expect(explainRemaining({ remaining: 0, retryAfterSeconds: 60 }).message).toBe(
      'No use remains; try again in 60 s',
    )
    // What ends then is the window, which is used up as well.
    const both = { remaining: 0, windowRemaining: 0, retryAfterSeconds: 60 }
    expect(explainRemaining(both).message).toBe('No use remains')
  })
})
