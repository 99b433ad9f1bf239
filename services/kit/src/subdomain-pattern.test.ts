import { describe, expect, it } from 'vitest'
import { isPatternWithin, isSubdomainAllowed, SUBDOMAIN_PATTERN } from './subdomain-pattern.ts'

describe('isSubdomainAllowed', () => {
  it.each([
    ['docs', 'docs'],
    ['docs-demo', 'docs-*'],
    ['docs-', 'docs-*'],
    ['a-docs-b', '*docs*'],
    ['docs1', 'docs?'],
    ['aXbXc'.toLowerCase(), 'a*b*c'],
    ['anything', '*'],
    ['abab', '*ab'],
  ])('%s matches %s', (subdomain, pattern) => expect(isSubdomainAllowed(subdomain, [pattern])).toBe(true))

  it.each([
    ['docs', 'doc'],
    ['docs', 'docs?'],
    ['xdocs', 'docs*'],
    ['docsx', '*docs'],
    ['ab', 'a*c'],
    ['docs', ''],
  ])('%s does not match %j', (subdomain, pattern) =>
    expect(isSubdomainAllowed(subdomain, [pattern])).toBe(false),
  )

  it('needs one of several, and none where there is none', () => {
    expect(isSubdomainAllowed('docs', ['api', 'd*'])).toBe(true)
    expect(isSubdomainAllowed('docs', ['api', 'x*'])).toBe(false)
    expect(isSubdomainAllowed('docs', [])).toBe(true)
  })

  it('is quick, whatever the pattern', () => {
    expect(isSubdomainAllowed('a'.repeat(63), [`${'*a'.repeat(30)}b`])).toBe(false)
  })
})

it('is made of what subdomains are made of, and of stars', () => {
  for (const pattern of ['docs-*', '?', 'a1']) expect(pattern).toMatch(SUBDOMAIN_PATTERN)
  for (const pattern of ['', 'A', 'a.b', '[a]', 'a'.repeat(64)])
    expect(pattern).not.toMatch(SUBDOMAIN_PATTERN)
})

describe('isPatternWithin', () => {
  it.each([
    ['docs', 'd*'],
    ['docs-*', 'docs-*'],
    ['docs-a*', 'docs-*'],
    ['docs-?', 'docs-*'],
    ['docs-?', 'docs-?'],
    ['*-docs-*', '*docs*'],
    ['*', '*'],
  ])('has %s within %s', (pattern, outer) => expect(isPatternWithin(pattern, [outer])).toBe(true))

  it.each([
    ['*', 'docs-*'],
    ['d*', 'docs-*'],
    ['docs*', 'docs-*'],
    ['docs-*', 'docs-?'],
    ['docs-?', 'docs-a'],
    ['*', '?'],
    ['*', '?*'],
    ['docs-*', 'docs-'],
  ])('does not have %s within %s', (pattern, outer) => expect(isPatternWithin(pattern, [outer])).toBe(false))

  it('has nothing within nothing', () => expect(isPatternWithin('docs', [])).toBe(false))
})
