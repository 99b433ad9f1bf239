import { describe, expect, it } from 'vitest'
import { isBeyondSite } from './beyond-site.ts'

const DOMAIN = 'tunnels.example.com'
const isSetBeyond = (attributes: string) => isBeyondSite('set-cookie', `a=b${attributes}`, DOMAIN)

describe('isBeyondSite', () => {
  it.each([
    '; Domain=tunnels.example.com',
    '; domain=.Tunnels.Example.COM',
    ';DOMAIN=\t tunnels.example.com ; Secure',
    ';\tdomain =tunnels.example.com',
    '; Domain=..tunnels.example.com',
    '; Domain=tunnels.example.com.',
    '; Domain=example.com',
    '; Domain=com',
    '; Domain="tunnels.example.com"',
    // As browsers may canonicalise it.
    '; Domain=%74unnels.example.com',
    '; Domain=tunnels%2Eexample.com',
    '; Domain=ｔunnels.example.com',
    '; Domain=tunnels。example.com',
    '; Domain=tunnels.example.com\0x',
    '; Domain=docs.tunnels.example.com; Domain=tunnels.example.com',
    '; Domain=tunnels.example.com; Domain=docs.tunnels.example.com',
    '; Path=/; SameSite=None; Secure; HttpOnly; domain=tunnels.example.com',
  ])('is true for a cookie%s', (attributes) => expect(isSetBeyond(attributes)).toBe(true))

  it.each([
    '',
    '; Domain=',
    '; Domain',
    '; Path=/; Max-Age=1',
    '; Domain=docs.tunnels.example.com',
    '; Domain=.docs.tunnels.example.com',
    // Browsers refuse these of such a host.
    '; Domain=other.example.org',
    '; Domain=xtunnels.example.com',
    '; Domain=127.0.0.1',
    ' domain=tunnels.example.com',
  ])('is false for a cookie%s', (attributes) => expect(isSetBeyond(attributes)).toBe(false))

  it.each(['clear-site-data', 'alt-svc', 'x-accel-redirect', 'x-sendfile', 'x-lighttpd-send-file'])(
    'is true for %s',
    (name) => expect(isBeyondSite(name, '"*"', DOMAIN)).toBe(true),
  )

  // They are about the site's own host, or what lies below it.
  it.each([
    ['strict-transport-security', 'max-age=63072000; includeSubDomains; preload'],
    ['nel', '{"report_to":"x","max_age":1,"include_subdomains":true}'],
    ['report-to', '{"group":"x","include_subdomains":true,"max_age":1,"endpoints":[]}'],
    ['reporting-endpoints', 'x="https://other.example.org"'],
    ['service-worker-allowed', '/'],
    ['origin-agent-cluster', '?0'],
    ['public-key-pins', 'pin-sha256="x"; includeSubDomains'],
    ['access-control-allow-origin', '*'],
    ['refresh', '0; url=https://other.example.org'],
    ['location', 'https://tunnels.example.com/v1/auth/user'],
    ['x-accel-buffering', 'no'],
  ])('is false for %s', (name, value) => expect(isBeyondSite(name, value, DOMAIN)).toBe(false))

  it('takes no longer for more than in proportion', () => {
    expect(isSetBeyond(`;${' '.repeat(200_000)}x`)).toBe(false)
    expect(isSetBeyond('; domain'.repeat(50_000))).toBe(false)
    expect(isSetBeyond(`; domain=x${'.'.repeat(200_000)}x`)).toBe(false)
    expect(isSetBeyond(`; domain=${'.'.repeat(200_000)}`)).toBe(false)
    expect(isSetBeyond(`; domain=${' '.repeat(200_000)}x`)).toBe(false)
    expect(isSetBeyond(`; domain${' '.repeat(200_000)}x`)).toBe(false)
  })
})
