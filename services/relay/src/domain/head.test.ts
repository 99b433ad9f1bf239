import { describe, expect, it } from 'vitest'
import { readAnswer, readTrailers, requestHead } from './head.ts'

const visitor = { address: '203.0.113.9', proto: 'https', host: 'docs.example.com' }
const forwarded = [
  'x-forwarded-for',
  '203.0.113.9',
  'x-forwarded-proto',
  'https',
  'x-forwarded-host',
  'docs.example.com',
]

/** The lines of the head of a GET with these headers. */
const linesOf = (rawHeaders: string[], more: { upgrade?: string; chunked?: boolean } = {}) =>
  requestHead({ method: 'GET', target: '/', rawHeaders, visitor, chunked: false, ...more }).split('\n')

describe('requestHead', () => {
  it('passes method, target and headers as they came, repeated ones in order', () => {
    const target = '/a//b/../%2F?q=%zz;|&x'
    const rawHeaders = ['Host', 'docs.example.com', 'X-A', '1', 'accept', '*/*', 'X-A', '2', 'Empty', '']
    const head = requestHead({ method: 'PROPFIND', target, rawHeaders, visitor, chunked: false })
    expect(head.split('\n')).toEqual(['PROPFIND', target, ...rawHeaders, ...forwarded])
  })

  it('leaves out what is meant for one hop, by name and by Connection', () => {
    const hop = ['Keep-Alive', '1', 'Proxy-Authorization', 'x', 'Transfer-Encoding', 'chunked', 'TE', 'gzip']
    const lines = linesOf(['Connection', 'close, X-Secret', 'x-secret', '1', ...hop, 'Accept', 'a'])
    expect(lines).toEqual(['GET', '/', 'Accept', 'a', ...forwarded])
  })

  it('keeps saying that trailers are welcome', () => {
    expect(linesOf(['TE', 'gzip, Trailers'])).toEqual(['GET', '/', 'te', 'trailers', ...forwarded])
  })

  it("leaves out what is ours to say, and replaces the visitor's word about itself", () => {
    const said = ['x-instatunnel-identity', 'i', 'X-Instatunnel-Connect', 'c', 'X-Envoy-Attempt-Count', '1']
    expect(
      linesOf([...said, 'X-Forwarded-For', '1.2.3.4', 'x-forwarded-host', 'evil', 'X-Other', 'o']),
    ).toEqual(['GET', '/', 'X-Other', 'o', ...forwarded])
  })

  it('says the address of an IPv4 visitor as IPv4, under both names', () => {
    const address = '::ffff:203.0.113.9'
    const rawHeaders = ['X-Real-IP', address]
    const seen = { ...visitor, address }
    const lines = requestHead({
      method: 'GET',
      target: '/',
      rawHeaders,
      visitor: seen,
      chunked: false,
    }).split('\n')
    expect(lines).toEqual(['GET', '/', 'X-Real-IP', '203.0.113.9', ...forwarded])
  })

  it('leaves out what is ours to say in the spelling that CGI takes for the same, and no other underscore', () => {
    const said = ['X_Forwarded_For', 'X-Forwarded_Proto', 'x_real_ip', 'Forwarded_', 'x_instatunnel_identity']
    expect(linesOf([...said.flatMap((name) => [name, '5.5.5.5']), 'my_header', 'o'])).toEqual([
      ...['GET', '/', 'Forwarded_', '5.5.5.5', 'my_header', 'o'],
      ...forwarded,
    ])
  })

  it("leaves out our session's cookie where a proxy has joined headers with commas, and keeps a site's commas", () => {
    const ours = 'eyJhbGciOiJFZERTQSIsInR5cCI6InNlc3Npb24rand0Iiwia2lkIjoiYSJ9.e30.c2ln'
    const cookieOf = (value: string) => linesOf(['Cookie', value])[3]
    expect(cookieOf(`a=1,2, instatunnel_session=${ours}; b=3`)).toBe('a=1,2; b=3')
    expect(cookieOf(`instatunnel_session="${ours}", a=1`)).toBe('a=1')
    expect(cookieOf(`a=1,${ours}; b=2`)).toBe(`a=1,${ours}; b=2`)
  })

  it('says which protocol is asked for, and that a body of unknown length follows', () => {
    expect(linesOf(['Upgrade', 'websocket', 'Connection', 'Upgrade'], { upgrade: 'websocket' })).toEqual([
      'GET',
      '/',
      'connection',
      'upgrade',
      'upgrade',
      'websocket',
      ...forwarded,
    ])
    expect(linesOf([], { chunked: true }).slice(2, 4)).toEqual(['transfer-encoding', 'chunked'])
  })

  it("leaves out our own session's cookie, and no cookie of the site", () => {
    const ours = 'eyJhbGciOiJFZERTQSIsInR5cCI6InNlc3Npb24rand0Iiwia2lkIjoiYSJ9.e30.c2ln'
    const names = ['instatunnel_session', '__Host-instatunnel_session', 'session', '__Host-session']
    const theirs = 'session=flask.value; __Host-session=theirs; __Host-session_id=1; instatunnel_session='
    for (const name of names) {
      const cookies = `a=1; ${name}=${ours}; b=2;${name}="${ours}"; ${theirs}; my${name}=${ours}`
      expect(linesOf(['Cookie', cookies])).toContain(`a=1; b=2; ${theirs}; my${name}=${ours}`)
      expect(linesOf(['Cookie', `${name}=${ours}`])).not.toContain('Cookie')
      // Of a handshake too, and of each header of several.
      const lines = linesOf(['cookie', `${name}=${ours}`, 'cookie', 'b=2'], { upgrade: 'websocket' })
      expect(lines.filter((line) => line.includes('='))).toEqual(['b=2'])
    }
  })

  it("leaves out our device's cookie, and no cookie of the site that is called so", () => {
    const ours = `itd_${'a'.repeat(32)}`
    for (const name of ['instatunnel_device', '__Host-instatunnel_device']) {
      const cookies = `a=1; ${name}=${ours}.${ours}; ${name}=theirs; my${name}=${ours}; device=${ours}`
      expect(linesOf(['Cookie', cookies])).toContain(`a=1; ${name}=theirs; my${name}=${ours}; device=${ours}`)
      expect(linesOf(['Cookie', `${name}=${ours}`])).not.toContain('Cookie')
    }
  })

  it("passes a site's own cookies byte for byte, in their order", () => {
    for (const cookies of [
      ';a=1;;b = "2 ;c',
      '__Host-session=of-the-site; __Host-session2=x; session=',
      ' =x; session="a; b"; __Host-instatunnel_session=eyJhbGciOiJFZERTQSJ9.e30.c2ln ',
    ]) {
      expect(linesOf(['Cookie', cookies])).toContain(cookies)
    }
  })
})

describe('readAnswer', () => {
  const read = (...lines: string[]) => readAnswer(lines.join('\n'), 'example.com', 'GET')

  it('gives status, reason and headers as they came', () => {
    expect(read('418', "I'm a teapot", 'X-A', '1', 'X-A', '2', 'Content-Length', '12')).toEqual({
      status: 418,
      reason: "I'm a teapot",
      headers: ['X-A', '1', 'X-A', '2', 'Content-Length', '12'],
      contentLength: 12,
      isBodiless: false,
      upgrade: undefined,
    })
  })

  it('leaves out what is meant for one hop, and what is ours to say', () => {
    const headers = [
      'Connection',
      'x-hop',
      'X-Hop',
      '1',
      'Transfer-Encoding',
      'chunked',
      'X-Instatunnel-Url',
      'u',
      // It would have the gateway send this relay nothing more.
      'X-Envoy-Immediate-Health-Check-Fail',
      '1',
    ]
    expect(read('200', 'OK', ...headers, 'Upgrade', 'websocket')).toMatchObject({
      headers: [],
      upgrade: 'websocket',
    })
  })

  it('drops cookies that a site would set for our domain or above, and keeps its own', () => {
    const set = (domain: string) =>
      read('200', 'OK', 'Set-Cookie', `a=b; Path=/${domain}`)?.headers.length === 2
    for (const domain of ['', '; Domain=docs.example.com', '; domain=other.org'])
      expect(set(domain), domain).toBe(true)
    for (const domain of [
      '; Domain=example.com',
      ';DOMAIN = .Example.com',
      '; domain=com',
      '; Domain="example.com"',
    ]) {
      expect(set(domain), domain).toBe(false)
    }
    expect(set('; Domain=docs.example.com; Domain=example.com')).toBe(false)
  })

  it('drops what would act on our domain, a neighbour or a proxy before the gateway', () => {
    const headers = ['Clear-Site-Data', '"cookies"', 'Alt-Svc', 'h3=":443"', 'X-Accel-Redirect', '/etc']
    expect(read('200', 'OK', ...headers, 'X-A', '1')?.headers).toEqual(['X-A', '1'])
    expect(readTrailers('clear-site-data\n"*"\na\n1')).toEqual([['a', '1']])
  })

  it('has no length where none may be, and announces no trailers where none can come', () => {
    const all = ['Trailer', 'x', 'Content-Length', '5', 'ETag', '"a"']
    expect(read('204', 'No Content', ...all)).toMatchObject({
      headers: ['ETag', '"a"'],
      contentLength: undefined,
    })
    expect(read('103', 'Early Hints', ...all)?.headers).not.toContain('Content-Length')
    expect(read('304', 'Not Modified', ...all)?.headers).toEqual(['ETag', '"a"', 'Content-Length', '5'])
    expect(read('200', 'OK', 'Trailer', 'x')?.headers).toEqual(['Trailer', 'x'])
    expect(readAnswer('200\nOK\ntrailer\nx', 'example.com', 'HEAD')).toMatchObject({
      headers: [],
      isBodiless: true,
    })
  })

  it('knows no answer in what is none, nor one whose end would be a guess', () => {
    for (const lines of [
      [''],
      ['20', 'OK'],
      ['2000', 'OK'],
      ['200', 'OK', 'odd'],
      ['200', 'OK', 'content-length', '1', 'content-length', '2'],
      ['200', 'OK', 'content-length', '1', 'content-length', '1'],
      ['200', 'OK', 'content-length', '-1'],
      ['200', 'OK', 'content-length', '0x10'],
      ['200', 'OK', 'content-length', '1, 1'],
    ]) {
      expect(read(...lines), lines.join('|')).toBeUndefined()
    }
  })
})

describe('readTrailers', () => {
  it('gives pairs in order, without what is ours', () => {
    expect(readTrailers('a\n1\nX-Instatunnel-A\n2\na\n3')).toEqual([
      ['a', '1'],
      ['a', '3'],
    ])
    expect(readTrailers('')).toEqual([])
    expect(readTrailers('a')).toBeUndefined()
    expect(readTrailers('Set-Cookie\na=b\nhost\nx\nContent-Length\n9\nx-forwarded-for\n1.2.3.4')).toEqual([])
  })
})
