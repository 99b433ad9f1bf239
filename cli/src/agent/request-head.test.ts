import { describe, expect, it } from 'vitest'
import { readRequestHead } from './request-head.ts'

const read = (lines: readonly string[], { ends = true, host }: { ends?: boolean; host?: string } = {}) =>
  readRequestHead(lines.join('\n'), { ends, host })

describe('readRequestHead', () => {
  it('keeps method, path, names, values and their order, byte for byte', () => {
    const headers = ['Host', 'a', 'X-b', '', 'x-B', '2', 'trailer', 'x', 'content-disposition', 'f=\xe9']
    expect(read(['PROPFIND', '/a%2F//..?\xe9', ...headers])).toEqual({
      method: 'PROPFIND',
      path: '/a%2F//..?\xe9',
      text: 'PROPFIND /a%2F//..?\xe9 HTTP/1.1\r\nHost: a\r\nX-b: \r\nx-B: 2\r\ntrailer: x\r\ncontent-disposition: f=\xe9\r\n\r\n',
      contentLength: undefined,
      chunked: false,
      upgrades: false,
    })
  })

  it('puts another Host in the place of every Host, and none where there is none', () => {
    const head = ['GET', '/', 'HOST', 'a', 'hosts', 'b', 'host', 'c']
    expect(read(head, { host: 'd' })?.text).toBe('GET / HTTP/1.1\r\nHOST: d\r\nhosts: b\r\nhost: d\r\n\r\n')
    expect(read(['GET', '/'], { host: 'd' })?.text).toBe('GET / HTTP/1.1\r\n\r\n')
  })

  it('has a body of unknown length sent in chunks, and no other', () => {
    const chunked = { text: 'POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n', chunked: true }
    expect(read(['POST', '/'], { ends: false })).toMatchObject(chunked)
    expect(read(['POST', '/', 'transfer-encoding', 'chunked'], { ends: false })).toMatchObject(chunked)
    expect(read(['POST', '/', 'Content-Length', '3'], { ends: false })).toMatchObject({
      text: 'POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n',
      contentLength: 3,
      chunked: false,
    })
    expect(read(['POST', '/'])).toMatchObject({ text: 'POST / HTTP/1.1\r\n\r\n', chunked: false })
    expect(read(['POST', '/', 'content-length', '0'])).toMatchObject({ contentLength: 0, chunked: false })
  })

  it('knows who asks to switch to another protocol', () => {
    const upgrade = ['Connection', 'upgrade', 'UPGRADE', 'websocket']
    expect(read(['GET', '/', ...upgrade], { ends: false })).toMatchObject({
      text: 'GET / HTTP/1.1\r\nConnection: upgrade\r\nUPGRADE: websocket\r\n\r\n',
      upgrades: true,
      chunked: false,
    })
  })

  it('takes as long for a long head that is none as for one that is', () => {
    const long = Array.from({ length: 8000 }, (_, n) => `h${n}`)
    expect(read(['GET', '/', ...long])?.text.length).toBeGreaterThan(40_000)
    expect(read(['GET', '/', ...long, 'odd'])).toBeUndefined()
    expect(read(['GET', '/', ...long.slice(2), 'a', '\0'])).toBeUndefined()
  })

  it.each([
    [[], {}],
    [['GET'], {}],
    [['GET', ''], {}],
    [['GET', '/', 'a'], {}],
    [['CONNECT', 'a:1'], {}],
    [['GET', '/ a'], {}],
    [['GET', '/\x7f'], {}],
    [['GET', '/', 'a b', 'c'], {}],
    [['GET', '/', 'a:', 'c'], {}],
    [['GET', '/', '', 'c'], {}],
    [['GET', '/', 'a', 'b\rc: d'], {}],
    [['GET', '/', 'a', 'b\0'], {}],
    [['POST', '/', 'content-length', '1'], { ends: true }],
    [['POST', '/', 'content-length', '1', 'content-length', '1'], { ends: false }],
    [['POST', '/', 'content-length', '1', 'transfer-encoding', 'chunked'], { ends: false }],
    [['POST', '/', 'transfer-encoding', 'chunked', 'transfer-encoding', 'chunked'], { ends: false }],
    [['POST', '/', 'transfer-encoding', 'gzip'], { ends: false }],
    [['POST', '/', 'content-length', ' 1'], { ends: false }],
    [['POST', '/', 'content-length', '0x1'], { ends: false }],
    [['POST', '/', 'content-length', '1234567890123456'], { ends: false }],
  ])('takes %j, %j for none', (lines, options) => {
    expect(read(lines, options)).toBeUndefined()
  })
})
