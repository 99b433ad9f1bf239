import { randomBytes } from 'node:crypto'
import { isSubdomainAllowed } from '@instatunnel/kit/subdomain-pattern'
import { describe, expect, it } from 'vitest'
import { makeUpFitting } from './fitting-subdomain.ts'
import { subdomainFault } from './subdomain.ts'

const zeros = (bytes: number) => Buffer.alloc(bytes)

describe('makeUpFitting', () => {
  it.each([
    [[], 'able-acorn-bbbb'],
    [['*'], 'able-acorn-bbbb'],
    [['docs-*'], 'docs-able-acorn-bbbb'],
    [['*-docs'], 'able-acorn-bbbb-docs'],
    [['a*b*c'], 'abable-acorn-bbbbc'],
    [['*-docs-*'], 'b-docs-able-acorn-bbbb'],
    [['docs?-*'], 'docsb-able-acorn-bbbb'],
    [['docs-?'], 'docs-b'],
    [['docs', 'docs-?', 'docs-*'], 'docs-able-acorn-bbbb'],
    [['-*', 'api-*'], 'api-able-acorn-bbbb'],
    [[`${'x'.repeat(55)}*`], `${'x'.repeat(55)}${'b'.repeat(8)}`],
    [[`${'x'.repeat(62)}*`], `${'x'.repeat(62)}b`],
  ])('makes for %j: %s', (patterns, made) => {
    expect(makeUpFitting(patterns, zeros)).toBe(made)
  })

  it.each([
    ['a name that is whole', 'docs-demo'],
    ['what is too short', 'd?'],
    ['a hyphen at the end', '*-'],
    ['a hyphen at the start', '-*'],
    ['hyphens in third and fourth place', 'ab--*'],
    ['nothing', ''],
  ])('makes up none for %s', (_, pattern) => {
    expect(makeUpFitting([pattern], randomBytes)).toBeUndefined()
  })

  it('makes acceptable names that match, and new ones each time', () => {
    for (const pattern of ['*', 'docs-*', '*-docs', '*docs*', '?-*', `a${'*?'.repeat(31)}`, '*'.repeat(63)]) {
      const names = Array.from({ length: 200 }, () => makeUpFitting([pattern], randomBytes) ?? '')
      expect(names.filter((name) => subdomainFault(name) !== undefined)).toEqual([])
      expect(names.filter((name) => !isSubdomainAllowed(name, [pattern]))).toEqual([])
      expect(new Set(names).size).toBeGreaterThan(190)
    }
  })
})
