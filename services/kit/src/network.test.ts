import { describe, expect, it } from 'vitest'
import { createNetworks, isNetworkWithin, readNetwork } from './network.ts'

describe('readNetwork', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7', 32],
    ['192.0.2.0/24', '192.0.2.0', 24],
    ['0.0.0.0/0', '0.0.0.0', 0],
    ['2001:db8::/32', '2001:db8::', 32],
    ['::1', '::1', 128],
  ])('reads %s', (text, address, prefix) => expect(readNetwork(text)).toEqual({ address, prefix }))

  it.each([
    '',
    'a',
    '192.0.2.0/33',
    '192.0.2.0/',
    '192.0.2.0/24/1',
    '192.0.2/24',
    '192.0.2.0/-1',
    '192.0.2.0/08',
  ])('reads no network in %j', (text) => expect(readNetwork(text)).toBeUndefined())

  it.each(['2001:db8::/129', 'fe80::1%eth0', '192.0.2.0/1e1', ' 192.0.2.0'])('nor in %j', (text) =>
    expect(readNetwork(text)).toBeUndefined(),
  )
})

describe('createNetworks', () => {
  const networks = createNetworks(['192.0.2.0/24', '198.51.100.7', '2001:db8::/32'])

  it.each(['192.0.2.1', '192.0.2.255', '198.51.100.7', '2001:db8:1::9', '::ffff:192.0.2.4'])(
    'includes %s',
    (address) => expect(networks.includes(address)).toBe(true),
  )

  it.each(['192.0.3.1', '198.51.100.8', '2001:db9::1', '::ffff:192.0.3.1', '', 'x', '192.0.2.1/32'])(
    'does not include %j',
    (address) => expect(networks.includes(address)).toBe(false),
  )

  it('includes nobody where there is no network, or none that can be read', () => {
    expect(createNetworks([]).includes('192.0.2.1')).toBe(false)
    expect(createNetworks(['everywhere']).includes('192.0.2.1')).toBe(false)
  })
})

describe('isNetworkWithin', () => {
  const outer = ['192.0.2.0/24', '2001:db8::/32']

  it.each(['192.0.2.0/24', '192.0.2.128/25', '192.0.2.7', '2001:db8:1::/48', '2001:db8::1'])(
    'has %s within',
    (text) => expect(isNetworkWithin(text, outer)).toBe(true),
  )

  it.each([
    '192.0.2.0/23',
    '0.0.0.0/0',
    '192.0.3.0/24',
    '2001:db8::/31',
    '::/0',
    '::ffff:192.0.2.0/120',
    'x',
  ])('does not have %s within', (text) => expect(isNetworkWithin(text, outer)).toBe(false))

  it('has nothing within nothing', () => expect(isNetworkWithin('192.0.2.7', [])).toBe(false))
})
