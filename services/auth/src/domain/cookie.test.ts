import { describe, expect, it } from 'vitest'
import { createSessionCookie } from './cookie.ts'

const head = Buffer.from('{"alg":"EdDSA","typ":"session+jwt","kid":"sig_1"}').toString('base64url')
const sig = `${'s-_9'.repeat(21)}aQ`
const [one, two] = [`${head}.one.${sig}`, `${head}.two.${sig}`]

const local = createSessionCookie('http://localhost:8080')
const remote = createSessionCookie('https://api.example.com')

describe('createSessionCookie', () => {
  it('is host-only, unreadable by scripts, for TLS only, and sent by no other site', () => {
    expect(local.set('eyJ.a.b')).toBe(
      'instatunnel_session=eyJ.a.b; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax; Secure',
    )
    expect(local.clear('')).toEqual([
      'instatunnel_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure',
    ])
  })

  it('is bound to its host by its name off localhost', () => {
    expect(remote.set('t')).toBe(
      '__Host-instatunnel_session=t; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax; Secure',
    )
    expect(remote.set('t')).not.toMatch(/domain/i)
  })

  it('is removed under its earlier name too, which off localhost is nothing but ours', () => {
    const attributes = 'Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure'
    expect(remote.clear('')).toEqual([
      `__Host-instatunnel_session=; ${attributes}`,
      `__Host-session=; ${attributes}`,
    ])
  })

  it.each([
    'http://localhost',
    'http://api.localhost:1234',
    'http://127.0.0.1:8080',
    'http://127.1.2.3',
    'http://[::1]:8080',
  ])('knows %s for local', (url) => expect(createSessionCookie(url).set('')).toMatch(/^instatunnel_session=/))

  it.each(['https://localhost.example.com', 'https://notlocalhost', 'http://127.0.0.1.example.com'])(
    'knows %s for none',
    (url) => expect(createSessionCookie(url).set('')).toMatch(/^__Host-instatunnel_session=/),
  )

  it.each([
    [`instatunnel_session=${one}`, [one]],
    [`theme=dark; instatunnel_session=${one}; lang=en`, [one]],
    [`theme=dark;instatunnel_session="${one}"`, [one]],
    [`instatunnel_session=${one}; instatunnel_session=${two}; instatunnel_session=${one}`, [one, two]],
    [`instatunnel_session=theirs; instatunnel_session=${two}`, [two]],
    // As Envoy joins several headers.
    [`instatunnel_session=${one},a=b,instatunnel_session=${two}`, [one, two]],
    [`session=${one}`, [one]],
    [`session=${one}; instatunnel_session=${two}`, [two, one]],
    ['instatunnel_session=abc; session=abc', []],
    [`instatunnel_session=${one}x; session=${head}.one.x`, []],
    [`xinstatunnel_session=${one}; session_id=${one}; __Host-instatunnel_session=${one}`, []],
    ['instatunnel_session', []],
    ['', []],
  ])('reads %j as %j', (header, tokens) => expect(local.read(header)).toEqual(tokens))

  it('reads no more than 16, also of a header as large as there may be', () => {
    const many = Array.from({ length: 100 }, (_, n) => `instatunnel_session=${head}.${n}.${sig}`)
    const tokens = many.slice(0, 16).map((cookie) => cookie.split('=')[1])
    expect(local.read(many.join('; '))).toEqual(tokens)
    expect(local.read(local.own(many.join('; ')))).toEqual(tokens)
    expect(local.read(`${';'.repeat(32_000)}session=${one}`)).toEqual([one])
  })

  it('counts none that has not the form of ours', () => {
    const junk = [`${one}x`, `${head}.one.x`, `${head}.${'x'.repeat(1000)}.${sig}`]
    const cookies = [...Array(20).fill(junk).flat(), one].map((value) => `instatunnel_session=${value}`)
    expect(local.read(cookies.join('; '))).toEqual([one])
  })

  it('passes on what is ours, and clears each name that it came by', () => {
    const cookies = `a=b; instatunnel_session="${one}"; session=${one}; session=theirs; session=${two}`
    const own = local.own(cookies)
    expect(own).toBe(`instatunnel_session=${one}; session=${one}; session=${two}`)
    expect(local.clear(own)).toEqual([
      ...local.clear(''),
      'session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure',
    ])
    expect(local.own('session=theirs')).toBe('')
    expect(remote.clear(`session=${one}`)).toEqual(remote.clear(''))
  })

  it('takes no cookie of the weaker names off localhost', () => {
    expect(remote.read(`session=${one}; instatunnel_session=${one}`)).toEqual([])
    expect(remote.read(`session=${one}; __Host-instatunnel_session=${two}`)).toEqual([two])
    expect(remote.read(`__Host-session=${one}`)).toEqual([one])
  })

  it.each([
    [{}, true],
    [{ origin: 'http://localhost:8080' }, true],
    [{ origin: 'http://localhost:8080', fetchSite: 'same-origin' }, true],
    [{ fetchSite: 'none' }, true],
    [{ fetchSite: 'same-origin' }, true],
    [{ origin: 'http://localhost:3000' }, false],
    [{ origin: 'https://localhost:8080' }, false],
    [{ origin: 'http://localhost:8080.evil.com' }, false],
    [{ origin: 'http://localhost' }, false],
    [{ origin: 'null' }, false],
    [{ origin: '' }, false],
    [{ fetchSite: 'same-site' }, false],
    [{ fetchSite: 'cross-site' }, false],
    [{ fetchSite: '' }, false],
    [{ origin: 'http://localhost:8080', fetchSite: 'cross-site' }, false],
    [{ origin: 'https://evil.com', fetchSite: 'same-origin' }, false],
  ])('says of a call with %j that it is ours: %j', (call, ours) => expect(local.isOurs(call)).toBe(ours))
})
