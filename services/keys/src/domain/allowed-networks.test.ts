import { createNetworks } from '@instatunnel/kit/network'
import { describe, expect, it } from 'vitest'
import { canonicalNetwork } from './allowed-networks.ts'

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
    ['::ffff:0:0/95', '::fffe:0:0/95'],
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
