import { createHash, createHmac, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { digestField, digestOf, masked, peppersSetting, randomAlphanumeric } from './secret.ts'

/** Gives the bytes 0 to 255 in turn, for ever. */
const counter =
  (next = 0) =>
  (bytes: number) =>
    Buffer.from(Array.from({ length: bytes }, () => next++ % 256))

describe('randomAlphanumeric', () => {
  it('makes each of the 62 characters equally likely', () => {
    const count = new Map<string, number>()
    for (const c of randomAlphanumeric(248 * 10, counter())) count.set(c, (count.get(c) ?? 0) + 1)
    expect([...count.keys()].sort().join('')).toBe(
      '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
    )
    expect(new Set(count.values())).toEqual(new Set([40]))
  })

  it('draws again for the bytes that would favour the first characters', () => {
    expect(randomAlphanumeric(4, counter(248))).toBe('0123')
  })

  it.each([0, 1, 16, 32, 1000])('is %i characters long', (length) => {
    expect(randomAlphanumeric(length, randomBytes)).toMatch(new RegExp(`^[0-9A-Za-z]{${length}}$`))
  })

  it('is another one each time', () => {
    expect(new Set(Array.from({ length: 10_000 }, () => randomAlphanumeric(16, randomBytes))).size).toBe(
      10_000,
    )
  })
})

describe('digestOf', () => {
  it('is SHA-256', () => {
    expect(digestOf('it_abc')).toEqual(createHash('sha256').update('it_abc').digest())
  })
})

describe('digestField', () => {
  it('takes 32 bytes, and nothing else', () => {
    expect(digestField.parse(digestOf('it_abc'))).toEqual(digestOf('it_abc'))
    for (const wrong of [Buffer.alloc(0), Buffer.alloc(31), Buffer.alloc(33), 'x'.repeat(32), undefined])
      expect(digestField.safeParse(wrong).success).toBe(false)
  })
})

describe('masked', () => {
  it('shows the prefix and the last three characters, as the documents do', () => {
    expect(masked('it_', 'it_0123456789abcdef')).toBe('it_***...def')
    expect(masked('acme-', 'acme-0123456789abcdef0123456789abcXYZ')).toBe('acme-***...XYZ')
  })
})

describe('peppersSetting', () => {
  const [first, second] = [randomBytes(32), randomBytes(32)]
  const peppers = peppersSetting.parse(
    JSON.stringify({ p1: first.toString('base64'), p2: second.toString('base64') }),
  )
  const digest = digestOf('it_abc')
  const hmac = (key: Buffer) => createHmac('sha256', key).update(digest).digest()

  it('hashes with the last pepper and names it', () => {
    expect(peppers.hash(digest)).toEqual({ pepperId: 'p2', hash: hmac(second) })
  })

  it('still finds what was stored under the ones before', () => {
    expect(peppers.candidates(digest)).toEqual([hmac(first), hmac(second)])
  })

  const pepper = Buffer.alloc(32, 7).toString('base64')
  it.each([
    '',
    '{}',
    '[]',
    'null',
    '"x"',
    '{"p1":1}',
    '{"p1":"short"}',
    `{"p1":"${pepper}","p2":"short"}`,
    // JSON.parse would put "1" before "2" whatever their order: new secrets would be stored under the old pepper.
    `{"2":"${pepper}","1":"${pepper}"}`,
  ])('refuses %s and does not show it', (text) => {
    expect(peppersSetting.safeParse(text).error?.issues.map(({ message }) => message)).toEqual([
      'must be a JSON object, id to 32 bytes in base64; an id begins with a letter',
    ])
  })
})
