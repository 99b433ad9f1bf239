import { describe, expect, it } from 'vitest'
import { maySessionTokenBeIn, SESSION_COOKIES, sessionTokenIn } from './session-cookie.ts'

const token = `${Buffer.from('{"alg":"EdDSA","typ":"session+jwt","kid":"sig_1"}').toString('base64url')}.e30.c2ln_-`
const names = Object.values(SESSION_COOKIES).flatMap(({ name, earlier }) => [name, earlier])

describe('sessionTokenIn', () => {
  it.each(names)('finds the token in the cookie %s, with and without quotes', (name) => {
    for (const cookie of [
      `${name}=${token}`,
      ` ${name}=${token} `,
      `${name}="${token}"`,
      `${name} = ${token}`,
    ]) {
      expect(sessionTokenIn(cookie)).toBe(token)
      expect(sessionTokenIn(cookie, name)).toBe(token)
      expect(maySessionTokenBeIn(cookie)).toBe(true)
    }
  })

  it.each([
    'instatunnel_session2',
    'xinstatunnel_session',
    'Session',
    '__host-session',
    '__Secure-session',
    '__Host-session2',
    '__Host-session-id',
    'session_id',
    '',
  ])('finds none in the cookie %s', (name) => expect(sessionTokenIn(`${name}=${token}`)).toBeUndefined())

  it('finds a token under another of our names only where it is asked for by that', () => {
    expect(sessionTokenIn(`session=${token}`, 'instatunnel_session')).toBeUndefined()
    expect(sessionTokenIn(`__Host-session=${token}`, 'session')).toBeUndefined()
  })

  const value = (text: string) => sessionTokenIn(`__Host-instatunnel_session=${text}`)
  it.each([
    '',
    'theirs',
    'flask.value.here',
    'eyJhbGciOiJIUzI1NiJ9.e30.c2ln',
    token.slice(0, token.lastIndexOf('.')),
    `${token}.more`,
    `${token}=`,
    `x${token}`,
    `"${token}`,
    `${token}"`,
    `""${token}""`,
    `${token} ${token}`,
  ])('finds none in the value %j', (text) => expect(value(text)).toBeUndefined())

  it('takes no longer for more than in proportion', () => {
    const long = `__Host-session=${token}${'a.'.repeat(500_000)}`
    expect(sessionTokenIn(long)).toBeUndefined()
    expect(sessionTokenIn('='.repeat(1_000_000))).toBeUndefined()
  })

  it('finds none in what is no cookie', () => {
    for (const text of ['', 'session', token, `=${token}`]) expect(sessionTokenIn(text)).toBeUndefined()
  })
})
