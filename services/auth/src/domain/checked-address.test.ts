import { describe, expect, it } from 'vitest'
import { createCheckedAddresses } from './checked-address.ts'

const addresses = createCheckedAddresses(Buffer.alloc(32, 1))
const now = new Date('2026-03-01T12:00:00.900Z')
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000)
const LOGIN = '/instatunnel.auth.v1.AuthService/Login'
const REGISTER = '/instatunnel.auth.v1.AuthService/Register'

describe('an address that Check told', () => {
  it.each(['203.0.113.7', '2001:db8::7', ''])('is read as it was: %j', (address) => {
    expect(addresses.verify(addresses.sign(address, LOGIN, now), LOGIN, now)).toBe(address)
  })

  it('is good for a minute, by clocks that are a minute apart', () => {
    const signed = addresses.sign('203.0.113.7', LOGIN, now)
    for (const seconds of [-59, 0, 60, 119])
      expect(addresses.verify(signed, LOGIN, later(seconds))).toBe('203.0.113.7')
    for (const seconds of [-62, 121, 86_400])
      expect(addresses.verify(signed, LOGIN, later(seconds))).toBeUndefined()
  })

  it('is good for its own rpc, and as it was signed', () => {
    const signed = addresses.sign('203.0.113.7', LOGIN, now)
    const [at = '', mac = ''] = signed.split('.')
    expect(addresses.verify(signed, REGISTER, now)).toBeUndefined()
    for (const other of [
      '',
      '203.0.113.7',
      `${at}.${mac}.203.0.113.8`,
      `${Number(at) + 1}.${mac}.203.0.113.7`,
      `${at}.${mac.slice(1)}.203.0.113.7`,
      `${at}.${'A'.repeat(43)}.203.0.113.7`,
      `${at}..203.0.113.7`,
      `${signed}\n`,
      `${signed}${'7'.repeat(1_000_000)}`,
    ])
      expect(addresses.verify(other, LOGIN, now)).toBeUndefined()
    const elsewhere = createCheckedAddresses(Buffer.alloc(32, 2))
    expect(elsewhere.verify(signed, LOGIN, now)).toBeUndefined()
  })
})
