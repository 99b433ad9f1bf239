import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { makeUpSubdomain } from './made-up-subdomain.ts'
import { lowerCased, subdomainFault } from './subdomain.ts'

const LABEL = 'must be 3 to 63 characters of a-z, 0-9 and "-", with no "-" at either end'
const HYPHENS = 'must not have "--" as its third and fourth character'
const RESERVED = 'is reserved; choose another'

describe('subdomainFault', () => {
  it.each(['abc', 'my-app', '123', '3000', 'a--b', 'a-b-c', 'test', 'demo', 'myapp', 'a'.repeat(63)])(
    'takes %s',
    (subdomain) => expect(subdomainFault(subdomain)).toBeUndefined(),
  )

  it.each([
    ['ab', LABEL],
    ['a'.repeat(64), LABEL],
    ['-abc', LABEL],
    ['abc-', LABEL],
    ['---', LABEL],
    ['a.b.c', LABEL],
    ['a_b', LABEL],
    ['_acme-challenge', LABEL],
    ['a b', LABEL],
    ['abc\n', LABEL],
    ['abc\0', LABEL],
    ['bücher', LABEL],
    ['ABC', LABEL],
    ['xn--bcher-kva', HYPHENS],
    ['ab--cd', HYPHENS],
    ...[
      'www',
      'api',
      'admin',
      'auth',
      'ns1',
      'ns12',
      'mx01',
      'wpad',
      'isatap',
      'autoconfig',
      'localhost',
    ].map((name) => [name, RESERVED]),
  ])('refuses %j', (subdomain, fault) => expect(subdomainFault(subdomain as string)).toBe(fault))
})

describe('lowerCased', () => {
  it('changes A to Z and nothing else', () => {
    expect(lowerCased('ABC-xyz-09')).toBe('abc-xyz-09')
    const kelvin = '\u212aelvin'
    expect(subdomainFault(lowerCased(kelvin))).toBe(LABEL)
  })
})

describe('makeUpSubdomain', () => {
  it('reads its words off the randomness it is given', () => {
    expect(makeUpSubdomain((bytes) => Buffer.alloc(bytes))).toBe('able-acorn-bbbb')
  })

  it('makes acceptable names, and new ones each time', () => {
    const names = Array.from({ length: 1000 }, () => makeUpSubdomain(randomBytes))
    expect(names.filter((name) => subdomainFault(name) !== undefined)).toEqual([])
    expect(new Set(names).size).toBeGreaterThan(990)
  })
})
