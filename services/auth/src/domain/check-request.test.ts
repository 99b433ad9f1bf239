import { randomBytes, randomInt } from 'node:crypto'
import { canonicalAddress } from '@instatunnel/kit/network'
import { CheckRequest } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { describe, expect, it } from 'vitest'
import { readCheckRequest } from './check-request.ts'

const empty = {
  method: '',
  path: '',
  authorization: undefined,
  cookie: undefined,
  origin: undefined,
  fetchSite: undefined,
  address: '',
  access: '',
  body: '',
}

const READ = ['authorization', 'cookie', 'origin', 'sec-fetch-site', 'x-envoy-external-address']
const OTHERS = ['', 'x', 'Cookie', 'origins', 'x-envoy-auth-partial-body', 'authorizatiom', '__proto__', 'é']
const TEXTS = [
  '',
  'a',
  'Bearer it_0123456789abcdef',
  'ä€😀',
  '\0\n',
  'x'.repeat(127),
  'y'.repeat(128),
  'z'.repeat(40_000),
]

const oneOf = <T>(choices: readonly T[]): T => choices[randomInt(choices.length)] as T
const someOf = (names: readonly string[]) =>
  Object.fromEntries(names.filter(() => randomInt(2) === 0).map((name) => [name, oneOf(TEXTS)]))

/** Any question that Envoy could ask, and more. */
const anyRequest = () =>
  CheckRequest.fromPartial({
    attributes: {
      source: {
        address: { address: { $case: 'socketAddress', value: { address: oneOf(TEXTS) } } },
        labels: someOf(TEXTS),
      },
      destination: randomInt(2) === 0 ? undefined : { principal: oneOf(TEXTS) },
      request: {
        time: new Date(randomInt(2 ** 40)),
        http: {
          id: oneOf(TEXTS),
          method: oneOf(TEXTS),
          headers: someOf([...READ, ...OTHERS]),
          path: oneOf(TEXTS),
          host: oneOf(TEXTS),
          size: randomInt(2 ** 40) - 2 ** 39,
          headerMap: { headers: [{ key: 'authorization', value: 'no', rawValue: Buffer.from('no') }] },
          rawBody: randomBytes(randomInt(300)),
        },
      },
      contextExtensions: someOf(['access', 'accesses', 'body', '']),
      tlsSession: { sni: oneOf(TEXTS) },
    },
  })

/** A field that has a length, as protobuf writes it. */
const field = (id: number, content: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(content)
  return Buffer.concat([Buffer.from([(id << 3) | 2]), varint(bytes.length), bytes])
}
const varint = (value: number): Buffer =>
  Buffer.from(value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)])
const join = (...parts: Uint8Array[]) => Buffer.concat(parts)
const entry = (key: string, value: string) => join(field(1, key), field(2, value))
const http = (...fields: Buffer[]) => field(1, field(4, field(2, join(...fields))))
const header = (name: string, value: string) => field(3, entry(name, value))

describe('readCheckRequest', () => {
  it('reads what ts-proto writes, whatever else is there', () => {
    for (let round = 0; round < 300; round++) {
      const { attributes, ...rest } = anyRequest()
      const { headers = {}, method, path } = attributes?.request?.http ?? {}
      expect(readCheckRequest(Buffer.from(CheckRequest.encode({ attributes, ...rest }).finish()))).toEqual({
        method,
        path,
        authorization: headers.authorization,
        cookie: headers.cookie,
        origin: headers.origin,
        fetchSite: headers['sec-fetch-site'],
        address: headers['x-envoy-external-address'] ?? '',
        access: attributes?.contextExtensions.access ?? '',
        body: attributes?.contextExtensions.body ?? '',
      })
    }
  })

  it('reads what Envoy 1.40 sends', () => {
    const sent =
      '0aff010a130a110a0f12093132372e302e302e3118fadb0312130a110a0f12093132372e302e302e31189bd60222ce010a0c08bc8b8bd806' +
      '10989bd2bc0212bd010a13393637323439343032343238393234353634351204504f53541a2b0a0d617574686f72697a6174696f6e121a42' +
      '65617265722069745f303132333435363738396162636465661a250a18782d656e766f792d65787465726e616c2d61646472657373120931' +
      '32372e302e302e3122312f696e73746174756e6e656c2e74756e6e656c732e76312e54756e6e656c536572766963652f4c69737454756e6e' +
      '656c732a096c6f63616c686f73743204687474705208485454502f312e315a006a00'
    expect(readCheckRequest(Buffer.from(sent, 'hex'))).toEqual({
      ...empty,
      method: 'POST',
      path: '/instatunnel.tunnels.v1.TunnelService/ListTunnels',
      authorization: 'Bearer it_0123456789abcdef',
      address: '127.0.0.1',
    })
  })

  it('knows an empty header from none, and an empty request from nothing', () => {
    expect(readCheckRequest(http(header('origin', '')))).toEqual({ ...empty, origin: '' })
    expect(readCheckRequest(http(field(3, field(1, 'origin'))))).toEqual({ ...empty, origin: '' })
    expect(readCheckRequest(http(field(3, field(2, 'no name'))))).toEqual(empty)
    expect(readCheckRequest(Buffer.alloc(0))).toEqual(empty)
  })

  it('reads the address of a client of IPv4 as IPv4, however Envoy has it', () => {
    const addressOf = (text: string) =>
      readCheckRequest(http(header('x-envoy-external-address', text))).address
    expect(addressOf('::ffff:192.0.2.7')).toBe('192.0.2.7')
    for (const same of ['192.0.2.7', '2001:db8::7', '::1', '::192.0.2.7'])
      expect(addressOf(same)).toBe(canonicalAddress(same))
  })

  it('lets the last one win, of keys and within an entry', () => {
    const twice = http(header('cookie', 'first'), header('cookie', 'last'))
    expect(readCheckRequest(twice).cookie).toBe('last')
    const within = http(field(3, join(entry('origin', 'first'), entry('cookie', 'last'))))
    expect(readCheckRequest(within)).toEqual({ ...empty, cookie: 'last' })
    expect(readCheckRequest(http(field(4, 'first'), field(4, 'last'))).path).toBe('last')
  })

  it('merges messages that come twice', () => {
    const parted = join(http(field(4, 'path'), header('origin', 'one')), http(header('cookie', 'two')))
    expect(readCheckRequest(parted)).toEqual({ ...empty, path: 'path', origin: 'one', cookie: 'two' })
  })

  it('takes a known number of another type for a field that it does not know', () => {
    const odd = Buffer.from([4 << 3, 1, (3 << 3) | 1, 1, 2, 3, 4, 5, 6, 7, 8, (4 << 3) | 5, 1, 2, 3, 4])
    expect(readCheckRequest(http(odd, header('origin', 'one')))).toEqual({ ...empty, origin: 'one' })
  })

  it('reads lengths that are written longer than they need be', () => {
    const path = join(Buffer.from([(4 << 3) | 2, 0x84, 0x80, 0x80, 0x80, 0x00]), Buffer.from('path'))
    expect(readCheckRequest(http(path)).path).toBe('path')
  })

  const malformed: Record<string, Buffer> = {
    'a tag and nothing more': Buffer.from([10]),
    'a length beyond the message': Buffer.from([10, 5, 0]),
    'a length beyond the message that it is in': field(1, Buffer.from([(4 << 3) | 2, 3, 0])),
    'an entry that ends beyond its map': http(Buffer.from([(3 << 3) | 2, 3, 10, 9, 99]), field(4, 'path')),
    'a length of 2^32': Buffer.from([10, 0x80, 0x80, 0x80, 0x80, 0x10]),
    'a length of six bytes': Buffer.from([10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
    'a tag of six bytes': Buffer.from([0x8a, 0x80, 0x80, 0x80, 0x80, 0x00, 0]),
    'a varint of eleven bytes': Buffer.from([8, ...Array(10).fill(0x80), 0]),
    'a varint that does not end': Buffer.from([8, 0x80]),
    'a number of 8 bytes cut short': Buffer.from([9, 1, 2, 3, 4, 5, 6, 7]),
    'a number of 4 bytes cut short': Buffer.from([13, 1, 2, 3]),
    'the field 0': Buffer.from([2, 0]),
    'a group': Buffer.from([11, 12]),
    'the end of a group': Buffer.from([12]),
    'a wire type that there is not': Buffer.from([14, 0]),
  }
  it.each(Object.entries(malformed))('refuses %s', (_, bytes) => {
    expect(() => readCheckRequest(bytes)).toThrow(expect.objectContaining({ reason: 'UNREADABLE_REQUEST' }))
  })

  it('refuses any bytes that are cut, or reads what was whole of them, and ends', () => {
    const whole = http(field(4, 'path'), header('authorization', 'x'.repeat(200)))
    for (let length = 1; length < whole.length; length++) {
      expect(() => readCheckRequest(whole.subarray(0, length)), `${length}`).toThrow(
        expect.objectContaining({ reason: 'UNREADABLE_REQUEST' }),
      )
    }
  })

  it('reads or refuses whatever comes, and nothing else happens', () => {
    for (let round = 0; round < 20_000; round++) {
      const bytes = randomInt(2) === 0 ? randomBytes(randomInt(40)) : spoiled()
      try {
        readCheckRequest(bytes)
      } catch (error) {
        expect(error).toMatchObject({ reason: 'UNREADABLE_REQUEST' })
      }
    }
  })
})

/** A request with one byte changed. */
function spoiled(): Buffer {
  const bytes = http(field(4, 'path'), header('authorization', 'secret'), header('cookie', 'x'))
  bytes[randomInt(bytes.length)] = randomInt(256)
  return bytes
}
