import { describe, expect, it } from 'vitest'
import { addressSubject } from './client-address.ts'

describe('addressSubject', () => {
  it.each(['203.0.113.7', '127.0.0.1', '0.0.0.0'])('counts IPv4 %s by itself', (address) =>
    expect(addressSubject(address)).toBe(address),
  )

  it.each([
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8::/64'],
    ['2001:db8:0:0:0:0:0:1', '2001:db8::/64'],
    ['2001::2:3:4:5', '2001::/64'],
    ['::1', '::/64'],
    ['::', '::/64'],
    ['::203.0.113.7', '::/64'],
    ['64:ff9b::203.0.113.7', '64:ff9b::/64'],
    ['fe80::1%eth0', 'fe80::/64'],
  ])('counts %s by its /64, however it is written', (address, subject) =>
    expect(addressSubject(address)).toBe(subject),
  )

  it('tells neighbouring networks apart', () => {
    expect(addressSubject('2001:db8:1:2::1')).not.toBe(addressSubject('2001:db8:1:3::1'))
  })

  // All of IPv4 lies in one IPv6 /64: by that, one client's calls would use up everybody's.
  it.each(['::ffff:203.0.113.7', '::FFFF:203.0.113.7', '::ffff:cb00:7107', '0:0:0:0:0:ffff:203.0.113.7'])(
    'counts IPv4 written as %s by itself',
    (address) => expect(addressSubject(address)).toBe('203.0.113.7'),
  )

  it.each(['', 'unix:/tmp/socket', 'localhost'])('leaves %j as it is', (address) =>
    expect(addressSubject(address)).toBe(address),
  )
})
