import { isIP } from 'node:net'
import { describe, expect, it } from 'vitest'
import {
  canonicalAddress,
  canonicalNetwork,
  createNetworks,
  isNetworkWithin,
  readNetwork,
  unmappedAddress,
} from './network.ts'

const MAPPED_SPELLINGS = [
  '::ffff:192.0.2.7',
  '::FFFF:c000:207',
  '0:0:0:0:0:ffff:192.0.2.7',
  '::ffff:C000:0207',
]

describe('canonicalAddress', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ...MAPPED_SPELLINGS.map((text) => [text, '192.0.2.7']),
    ['::ffff:0:0', '0.0.0.0'],
    ['::ffff:192.0.2.7%eth0', '192.0.2.7'],
    ['2001:0DB8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::', '::'],
    // Of these none is IPv4.
    ['::192.0.2.7', '::c000:207'],
    ['::fffe:192.0.2.7', '::fffe:c000:207'],
    ['64:ff9b::192.0.2.7', '64:ff9b::c000:207'],
    ['2002:c000:207::', '2002:c000:207::'],
  ])('writes %s as %s', (text, address) => expect(canonicalAddress(text)).toBe(address))

  it.each(['', 'x', '192.0.2', '0300.0.2.7', '[::1]', '192.0.2.7:80', '192.0.2.0/24', ' ::1', '::1%'])(
    'finds no address in %j',
    (text) => expect(canonicalAddress(text)).toBeUndefined(),
  )

  it('reads every address that there is, and its own form again', () => {
    for (let n = 0; n < 2_000; n++) {
      const group = () => (Math.random() < 0.4 ? '0' : Math.floor(Math.random() * 65_536).toString(16))
      const text = Array.from({ length: 8 }, group).join(':')
      const address = canonicalAddress(text) ?? ''
      expect(canonicalAddress(address)).toBe(address)
      expect(isIP(address)).toBe(6)
    }
  })
})

describe('unmappedAddress', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8::7', '2001:db8::7'],
    ['::1', '::1'],
    ['', ''],
    ['::x', '::x'],
  ])('makes of %j %j', (text, address) => expect(unmappedAddress(text)).toBe(address))
})

describe('readNetwork', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7', 32],
    ['192.0.2.7/24', '192.0.2.0', 24],
    ['0.0.0.0/0', '0.0.0.0', 0],
    ['2001:db8:9::1/32', '2001:db8::', 32],
    ['::1', '::1', 128],
    ['::1/0', '::', 0],
  ])('reads %s', (text, address, prefix) => expect(readNetwork(text)).toEqual({ address, prefix }))

  it.each([
    ['::ffff:192.0.2.7', '192.0.2.7', 32],
    ['::ffff:c000:207/120', '192.0.2.0', 24],
    ['::ffff:10.0.0.0/104', '10.0.0.0', 8],
    ['::ffff:10.0.0.0/96', '0.0.0.0', 0],
  ])('reads IPv4 written as %s', (text, address, prefix) =>
    expect(readNetwork(text)).toEqual({ address, prefix }),
  )

  // A length that counts IPv4's bits would make of it a network that holds all of IPv4.
  it.each(['::ffff:10.0.0.0/8', '::ffff:10.0.0.0/24', '::FFFF:a00:0/95', '0:0:0:0:0:ffff:10.0.0.0/0'])(
    'reads no network in %s: IPv4, and not its length',
    (text) => expect(readNetwork(text)).toBeUndefined(),
  )

  it.each([
    '',
    'a',
    '192.0.2.0/33',
    '192.0.2.0/',
    '192.0.2.0/24/1',
    '192.0.2/24',
    '192.0.2.0/-1',
    '192.0.2.0/08',
    '::ffff:192.0.2.0/129',
  ])('reads no network in %j', (text) => expect(readNetwork(text)).toBeUndefined())

  it.each(['2001:db8::/129', 'fe80::1%eth0', '192.0.2.0/1e1', ' 192.0.2.0'])('nor in %j', (text) =>
    expect(readNetwork(text)).toBeUndefined(),
  )
})

describe('createNetworks', () => {
  const networks = createNetworks(['192.0.2.0/24', '198.51.100.7', '2001:db8::/32'])

  it.each(['192.0.2.1', '192.0.2.255', '198.51.100.7', '2001:db8:1::9', ...MAPPED_SPELLINGS])(
    'includes %s',
    (address) => expect(networks.includes(address)).toBe(true),
  )

  it.each(['192.0.3.1', '198.51.100.8', '2001:db9::1', '::ffff:192.0.3.1', '', 'x', '192.0.2.1/32'])(
    'does not include %j',
    (address) => expect(networks.includes(address)).toBe(false),
  )

  it('includes no address where there is no network, or none that can be read', () => {
    expect(createNetworks([]).includes('192.0.2.1')).toBe(false)
    for (const text of ['everywhere', '::ffff:192.0.2.0/24'])
      expect(createNetworks([text]).includes('192.0.2.1')).toBe(false)
  })

  it.each(['::/0', '::/8', '::/64', '::/96', '::fffe:0:0/95'])(
    'includes no IPv4 address in %s, however it is written',
    (network) => {
      for (const address of ['192.0.2.7', '0.0.0.0', ...MAPPED_SPELLINGS])
        expect(createNetworks([network]).includes(address)).toBe(false)
    },
  )

  it('includes no IPv6 address in a network of IPv4: translated ones are IPv6', () => {
    const all = createNetworks(['0.0.0.0/0', '192.0.2.7'])
    for (const address of ['::1', '::192.0.2.7', '64:ff9b::192.0.2.7', '2002:c000:207::1', '2001:db8::1'])
      expect(all.includes(address)).toBe(false)
  })

  it('includes the same as networks do that are counted bit by bit', () => {
    const bitsOf = (address: string) =>
      BigInt(
        `0x${address
          .split(':')
          .map((group) => group.padStart(4, '0'))
          .join('')}`,
      )
    for (let n = 0; n < 2_000; n++) {
      const prefix = Math.floor(Math.random() * 129)
      const groups = Array.from({ length: 8 }, () => Math.floor(Math.random() * 65_536) | 0x2000)
      const address = groups.map((group) => group.toString(16)).join(':')
      const flipped = bitsOf(address) ^ (1n << BigInt(Math.floor(Math.random() * 128)))
      const other = (flipped.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':')
      const isWithin =
        prefix === 0 || bitsOf(address) >> BigInt(128 - prefix) === flipped >> BigInt(128 - prefix)
      expect(createNetworks([`${address}/${prefix}`]).includes(other)).toBe(isWithin)
    }
  })
})

describe('isNetworkWithin', () => {
  const outer = ['192.0.2.0/24', '2001:db8::/32']

  it.each([
    '192.0.2.0/24',
    '192.0.2.128/25',
    '192.0.2.7',
    '::ffff:192.0.2.0/120',
    '2001:db8:1::/48',
    '2001:db8::1',
  ])('has %s within', (text) => expect(isNetworkWithin(text, outer)).toBe(true))

  it.each([
    '192.0.2.0/23',
    '0.0.0.0/0',
    '192.0.3.0/24',
    '2001:db8::/31',
    '::/0',
    '::ffff:192.0.2.0/119',
    '::ffff:192.0.2.0/24',
    'x',
  ])('does not have %s within', (text) => expect(isNetworkWithin(text, outer)).toBe(false))

  it('has no IPv4 within IPv6, and no IPv6 within IPv4', () => {
    for (const text of ['192.0.2.0/24', '::ffff:192.0.2.0/120'])
      expect(isNetworkWithin(text, ['::/0', '::/8'])).toBe(false)
    expect(isNetworkWithin('64:ff9b::192.0.2.7', ['0.0.0.0/0'])).toBe(false)
  })

  it('has nothing within nothing', () => expect(isNetworkWithin('192.0.2.7', [])).toBe(false))
})

describe('canonicalNetwork', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7/32'],
    ['192.0.2.7/24', '192.0.2.0/24'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['203.0.113.9/0', '0.0.0.0/0'],
    ['2001:DB8::1', '2001:db8::1/128'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1/128'],
    ['2001:db8:1:2:3:4:5:6/33', '2001:db8::/33'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
    ['2001:db8:0:1:1:1:1:1/127', '2001:db8:0:1:1:1:1:0/127'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3/128'],
    ['::', '::/128'],
    ['::1/0', '::/0'],
    ['1::', '1::/128'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221/128'],
    ['::ffff:192.0.2.7', '192.0.2.7/32'],
    ['::ffff:c000:207/120', '192.0.2.0/24'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
  ])('writes %s as %s', (text, canonical) => {
    expect(canonicalNetwork(text)).toBe(canonical)
    expect(canonicalNetwork(canonical)).toBe(canonical)
  })

  it.each([
    '',
    ' ',
    '*',
    'localhost',
    '192.0.2',
    '::ffff:0:0/95',
    '192.0.2.256',
    '0300.0.2.1',
    '192.0.2.1/33',
    '192.0.2.1/-1',
    '192.0.2.1/8.0',
    '192.0.2.0/255.255.255.0',
    '192.0.2.1/',
    '192.0.2.1/024',
    ' 192.0.2.1',
    '192.0.2.1\n',
    '192.0.2.1-192.0.2.9',
    '2001:db8::/129',
    '2001:db8::1::2',
    'fe80::1%lo',
    '[::1]',
    '::1]/@evil',
    '\u0661.0.0.1',
  ])('finds no network in %j', (text) => expect(canonicalNetwork(text)).toBeUndefined())

  it('admits whom the text admits', () => {
    const texts = ['10.1.2.3/9', '2001:db8:7::9/31', '::ffff:198.51.100.9/126']
    const addresses = ['10.0.0.1', '10.127.9.9', '10.128.0.1', '2001:db9::1', '2001:dba::1', '198.51.100.11']
    for (const text of texts) {
      const [asWritten, canonical] = [createNetworks([text]), createNetworks([canonicalNetwork(text) ?? ''])]
      for (const address of addresses) expect(canonical.includes(address)).toBe(asWritten.includes(address))
    }
  })
})
