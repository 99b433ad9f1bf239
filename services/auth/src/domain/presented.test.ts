import { describe, expect, it } from 'vitest'
import { createSessionCookie } from './cookie.ts'
import { presentedBy } from './presented.ts'

const cookie = createSessionCookie('http://localhost:8080')
const token = `eyJhbGciOiJFZERTQSIsInR5cCI6InNlc3Npb24rand0Iiwia2lkIjoiYSJ9.e30.${'s'.repeat(86)}`
const bearer = (text: string) => presentedBy({ authorization: text }, cookie)

describe('presentedBy', () => {
  it.each([
    ['Bearer it_0123456789abcdef', { kind: 'api_key', secret: 'it_0123456789abcdef' }],
    ['bearer it_0123456789abcdef', { kind: 'api_key', secret: 'it_0123456789abcdef' }],
    ['BEARER   it_0123456789abcdef', { kind: 'api_key', secret: 'it_0123456789abcdef' }],
    [
      `Bearer ${'p'.repeat(32)}${'s'.repeat(32)}`,
      { kind: 'api_key', secret: 'p'.repeat(32) + 's'.repeat(32) },
    ],
    [`Bearer acme-${'s'.repeat(32)}`, { kind: 'api_key', secret: `acme-${'s'.repeat(32)}` }],
    ['Bearer eyJhbGciOi.x.y', { kind: 'session', tokens: ['eyJhbGciOi.x.y'], fromCookie: false }],
    [`Bearer itt_${'t'.repeat(32)}`, { kind: 'tunnel_token', secret: `itt_${'t'.repeat(32)}` }],
  ])('knows what %s is', (text, presented) => expect(bearer(text)).toEqual(presented))

  it.each([
    '',
    ' ',
    'Bearer',
    'Bearer ',
    'it_0123456789abcdef',
    'Basic dXNlcjpwYXNz',
    'Bearer it_0123456789abcdef extra',
    'Bearer it_0123456789abcdef, Bearer it_0123456789abcdef',
    'Bearer it_short',
    `Bearer ${'k'.repeat(65)}`,
    "Bearer it_0123456789' or 1=1",
    'Bearer it_0123456789ab%00',
    'Bearer it_0123456789abcdé',
    `Bearer itt_${'t'.repeat(31)}`,
    `Bearer itt_${'t'.repeat(33)}`,
    `Bearer itt_${'t'.repeat(31)}-`,
    `Bearer eyJ${'x'.repeat(2046)}`,
    `Bearer ${'x'.repeat(1_000_000)}`,
  ])('looks nothing up for %j', (text) => expect(bearer(text)).toBe('unreadable'))

  it('takes the cookie where there is no authorization', () => {
    expect(presentedBy({ cookie: `a=b; instatunnel_session=${token}` }, cookie)).toEqual({
      kind: 'session',
      tokens: [token],
      fromCookie: true,
    })
  })

  it('takes the authorization where there are both, also where it is no good', () => {
    const both = { authorization: 'Bearer it_0123456789abcdef', cookie: `instatunnel_session=${token}` }
    expect(presentedBy(both, cookie)).toMatchObject({ kind: 'api_key' })
    expect(presentedBy({ ...both, authorization: 'Bearer' }, cookie)).toBe('unreadable')
  })

  it.each([
    {},
    { cookie: '' },
    { cookie: 'theme=dark' },
    { cookie: 'instatunnel_session=' },
    { cookie: 'instatunnel_session=it_0123456789abcdef' },
    // Another app's on the same host.
    { cookie: 'session=eyJhbGciOiJIUzI1NiJ9.e30.c2ln' },
  ])('sees nothing in %j', (call) => expect(presentedBy(call, cookie)).toBeUndefined())

  it('takes a cookie that is too long for none', () => {
    const long = `instatunnel_session=${token.replace('.e30.', `.${'x'.repeat(1000)}.`)}`
    expect(presentedBy({ cookie: long }, cookie)).toBeUndefined()
    expect(presentedBy({ cookie: `${long}; session=${token}` }, cookie)).toMatchObject({ tokens: [token] })
  })
})
