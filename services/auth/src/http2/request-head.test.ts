import { describe, expect, it } from 'vitest'
import { asking, type Fields } from '../../test/http2-frames.ts'
import { areTrailers, readRequestHead } from './request-head.ts'

const listOf = (fields: Fields) => fields.map(([name, value]) => ({ name, value }))
const read = (fields: Fields) => readRequestHead(listOf(fields))
const with_ = (...more: Fields): Fields => [...asking(), ...more]
const without = (name: string): Fields => asking().filter(([other]) => other !== name)

/** Fields that no message may have, be it a request's head or its trailers (§8.2). */
const malformed: Fields = [
  ['Content-Type', 'x'],
  ['x-Y', 'x'],
  ['', 'x'],
  ['a b', 'x'],
  ['a:b', 'x'],
  ['a\0', 'x'],
  ['a\n', 'x'],
  ['a\x7f', 'x'],
  ['ä', 'x'],
  ['a"', 'x'],
  ['a(', 'x'],
  ['a,', 'x'],
  ['x', ' x'],
  ['x', 'x '],
  ['x', '\tx'],
  ['x', 'x\t'],
  ['x', ' '],
  ['x', 'a\0b'],
  ['x', 'a\nb'],
  ['x', 'a\rb'],
  ['x', 'a\n'],
  ['x', '\n'],
  ['connection', 'close'],
  ['connection', ''],
  ['keep-alive', '1'],
  ['proxy-connection', 'close'],
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'h2c'],
  ['te', 'gzip'],
  ['te', 'trailers, gzip'],
  ['te', ''],
]

const wellFormed: Fields = [
  ['x', ''],
  ['x', 'a b\tc'],
  ['x', 'ä\xff'],
  ['x', '\x01\x7f'],
  ["!#$%&'*+-.^_`|~09az", 'x'],
  ['te', 'trailers'],
  ['host', 'x'],
  ['cookie', 'a=b'],
]

describe('readRequestHead', () => {
  it('reads what a request begins with (§8.3.1)', () => {
    expect(read(asking('/a?b', 'PUT'))).toEqual({
      method: 'PUT',
      path: '/a?b',
      contentType: undefined,
      grpcTimeout: undefined,
      contentLength: undefined,
    })
    expect(
      read(
        with_(
          ['content-type', 'application/grpc'],
          ['grpc-timeout', '1S'],
          ['content-length', '12'],
          ['x', 'y'],
        ),
      ),
    ).toMatchObject({ contentType: 'application/grpc', grpcTimeout: '1S', contentLength: 12 })
  })

  it('does not mind the order of pseudo fields, nor :authority', () => {
    expect(read([...asking()].reverse())).toMatchObject({ method: 'POST', path: '/echo' })
    expect(read([[':authority', ''], ...asking()])).toBeDefined()
    expect(read([[':authority', 'x:1'], ...asking()])).toBeDefined()
  })

  it.each([
    ['without fields', []],
    ['without :method', without(':method')],
    ['without :scheme', without(':scheme')],
    ['without :path', without(':path')],
    [
      'CONNECT, which we serve to nobody',
      [
        [':method', 'CONNECT'],
        [':authority', 'x:1'],
      ],
    ],
    ['with an empty :method', [...without(':method'), [':method', '']]],
    ['with an empty :scheme', [...without(':scheme'), [':scheme', '']]],
    ['with an empty :path', [...without(':path'), [':path', '']]],
    ['with two :method', [...asking(), [':method', 'POST']]],
    ['with two :scheme', [...asking(), [':scheme', 'http']]],
    ['with two :path', [...asking(), [':path', '/echo']]],
    ['with two :authority', [...asking(), [':authority', ''], [':authority', '']]],
    ['with :status', [...asking(), [':status', '200']]],
    ['with :protocol', [...asking(), [':protocol', 'websocket']]],
    ['with :', [...asking(), [':', 'x']]],
    ['with :PATH', [...without(':path'), [':PATH', '/']]],
    ['with a pseudo field after another', [...without(':path'), ['x', 'y'], [':path', '/']]],
    ['with a :path that breaks its line', [...without(':path'), [':path', '/\r\nx: y']]],
    ['with a :path of NUL', [...without(':path'), [':path', '/\0']]],
    ['with a :path that begins with a space', [...without(':path'), [':path', ' /']]],
    ['with a :method that ends with a space', [...without(':method'), [':method', 'POST ']]],
  ] as [string, Fields][])('knows a request %s as malformed (§8.3)', (_, fields) => {
    expect(read(fields)).toBeUndefined()
  })

  it.each(malformed)('knows a request with %j: %j as malformed (§8.2)', (name, value) => {
    expect(read(with_([name, value]))).toBeUndefined()
    expect(read(with_(['a', 'b'], [name, value], ['c', 'd']))).toBeUndefined()
  })

  it.each(wellFormed)('takes %j: %j', (name, value) => {
    expect(read(with_([name, value]))).toBeDefined()
  })

  it.each(['', '-1', '+1', '1.0', '1e3', '0x1', ' 1', '1,1', '1, 1', 'one', '9'.repeat(16)])(
    'knows a content-length of %j as malformed (§8.1.1)',
    (length) => {
      expect(read(with_(['content-length', length]))).toBeUndefined()
    },
  )

  it('takes a content-length that is said twice, if it is the same', () => {
    expect(read(with_(['content-length', '5'], ['content-length', '05']))).toMatchObject({ contentLength: 5 })
    expect(read(with_(['content-length', '5'], ['content-length', '6']))).toBeUndefined()
    expect(read(with_(['content-length', '0']))).toMatchObject({ contentLength: 0 })
    expect(read(with_(['content-length', '9'.repeat(15)]))).toBeDefined()
  })
})

describe('areTrailers', () => {
  it.each(malformed)('is not so with %j: %j (§8.2)', (name, value) => {
    expect(
      areTrailers(
        listOf([
          ['a', 'b'],
          [name, value],
        ]),
      ),
    ).toBe(false)
  })

  it.each(asking())('is not so with %s (§8.1)', (name, value) => {
    expect(areTrailers(listOf([[name, value]]))).toBe(false)
    expect(
      areTrailers(
        listOf([
          ['a', 'b'],
          [name, value],
        ]),
      ),
    ).toBe(false)
  })

  it.each(wellFormed)('is so with %j: %j', (name, value) => {
    expect(areTrailers(listOf([[name, value]]))).toBe(true)
  })

  it('is so with nothing', () => {
    expect(areTrailers([])).toBe(true)
  })
})
