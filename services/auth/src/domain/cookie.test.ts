import { describe, expect, it } from 'vitest'
import { createSessionCookie } from './cookie.ts'

const local = createSessionCookie('http://localhost:8080')
const remote = createSessionCookie('https://api.example.com')

describe('createSessionCookie', () => {
  it('is host-only, unreadable by scripts, for TLS only, and sent by no other site', () => {
    expect(local.set('eyJ.a.b')).toBe(
      'session=eyJ.a.b; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax; Secure',
    )
    expect(local.clear()).toBe('session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure')
  })

  it('is bound to its host by its name off localhost', () => {
    expect(remote.set('t')).toBe('__Host-session=t; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax; Secure')
    expect(remote.set('t')).not.toMatch(/domain/i)
  })

  it.each([
    'http://localhost',
    'http://api.localhost:1234',
    'http://127.0.0.1:8080',
    'http://127.1.2.3',
    'http://[::1]:8080',
  ])('knows %s for local', (url) => expect(createSessionCookie(url).clear()).toMatch(/^session=/))

  it.each(['https://localhost.example.com', 'https://notlocalhost', 'http://127.0.0.1.example.com'])(
    'knows %s for none',
    (url) => expect(createSessionCookie(url).clear()).toMatch(/^__Host-session=/),
  )

  it.each([
    ['session=abc', 'abc'],
    ['theme=dark; session=abc; lang=en', 'abc'],
    ['theme=dark;session=abc', 'abc'],
    ['session=a=b', 'a=b'],
    ['session=', ''],
    ['session=first; session=second', 'first'],
    ['xsession=abc', undefined],
    ['session_id=abc', undefined],
    ['__Host-session=abc', undefined],
    ['session', undefined],
    ['', undefined],
  ])('reads %j as %j', (header, token) => expect(local.read(header)).toBe(token))

  it('takes no cookie of the weaker name off localhost', () => {
    expect(remote.read('session=planted')).toBeUndefined()
    expect(remote.read('session=planted; __Host-session=mine')).toBe('mine')
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
