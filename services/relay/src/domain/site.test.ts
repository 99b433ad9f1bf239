import { expect, it } from 'vitest'
import { siteUrl, subdomainOf } from './site.ts'

it('finds the subdomain right below the domain, whatever the case and the port', () => {
  for (const [host, subdomain] of [
    ['docs-demo.example.com', 'docs-demo'],
    ['Docs-Demo.EXAMPLE.com:8080', 'docs-demo'],
    ['example.com', undefined],
    ['.example.com', undefined],
    ['a.b.example.com', undefined],
    ['notexample.com', undefined],
    ['x.notexample.com', undefined],
    ['docs.example.com.evil.org', undefined],
    ['', undefined],
    ['[::1]:80', undefined],
  ] as const) {
    expect(subdomainOf(host, 'example.com'), host).toBe(subdomain)
  }
})

it("gives sites the gateway's scheme and port", () => {
  const at = (gateway: string) => siteUrl('docs', { domain: 'example.com', gateway: new URL(gateway) })
  expect(at('https://api.example.com')).toBe('https://docs.example.com')
  expect(at('http://localhost:8080')).toBe('http://docs.example.com:8080')
})
