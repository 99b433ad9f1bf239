import { expect, it } from 'vitest'
import { peerAddressOf } from './peer-address.ts'

it.each([
  ['127.0.0.1:50051', '127.0.0.1'],
  ['::1:50051', '::1'],
  ['::ffff:192.0.2.1:50051', '192.0.2.1'],
  ['2001:db8::7:50051', '2001:db8::7'],
  ['unknown', ''],
  ['', ''],
])('reads the address of the peer %j', (peer, address) => {
  expect(peerAddressOf(peer)).toBe(address)
})
