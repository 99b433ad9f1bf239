import { describe, expect, it } from 'vitest'
import { readRequestHead } from './request-head.ts'

const read = (lines: readonly string[], { ends = true, host }: { ends?: boolean; host?: string } = {}) =>
  readRequestHead(lines.join('\n'), { ends, host })

describe('readRequestHead', () => {
  it('keeps names, values and their order', () => {
    const headers = ['Host', 'a', 'X-b', '', 'x-B', '2']
    expect(read(['GET', '/', ...headers])).toEqual({
      method: 'GET',
      path: '/',
      headers,
      contentLength: undefined,
      upgrades: false,
    })
  })

  it('puts another Host in the place of every Host, and none where there is none', () => {
    const head = ['GET', '/', 'HOST', 'a', 'hosts', 'b', 'host', 'c']
    expect(read(head, { host: 'd' })?.headers).toEqual(['HOST', 'd', 'hosts', 'b', 'host', 'd'])
    expect(read(['GET', '/'], { host: 'd' })?.headers).toEqual([])
  })

  it('has a body of unknown length sent in chunks, and no other', () => {
    const chunked = ['transfer-encoding', 'chunked']
    expect(read(['POST', '/'], { ends: false })?.headers).toEqual(chunked)
    expect(read(['POST', '/', ...chunked], { ends: false })?.headers).toEqual(chunked)
    expect(read(['POST', '/', 'Content-Length', '3'], { ends: false })).toMatchObject({
      headers: ['Content-Length', '3'],
      contentLength: 3,
    })
    expect(read(['POST', '/'])?.headers).toEqual([])
    expect(read(['POST', '/', 'content-length', '0'])?.headers).toEqual(['content-length', '0'])
  })

  it('announces trailers only where they can come', () => {
    const trailer = ['a', 'b', 'Trailer', 'x', 'c', 'd']
    expect(read(['POST', '/', ...trailer], { ends: false })?.headers).toContain('Trailer')
    expect(read(['GET', '/', ...trailer])?.headers).toEqual(['a', 'b', 'c', 'd'])
  })

  it('puts the length behind a Content-Disposition, whose bytes Node changes otherwise', () => {
    const length = ['Content-Length', '1']
    const disposition = ['Content-Disposition', 'attachment; filename=\xe9']
    expect(read(['POST', '/', ...length, 'a', 'b', ...disposition], { ends: false })?.headers).toEqual([
      'a',
      'b',
      ...disposition,
      ...length,
    ])
  })

  it('knows who asks to switch to another protocol', () => {
    const upgrade = ['Connection', 'upgrade', 'UPGRADE', 'websocket']
    expect(read(['GET', '/', ...upgrade], { ends: false })).toMatchObject({
      upgrades: true,
      headers: upgrade,
    })
  })

  it.each([
    [[], {}],
    [['GET'], {}],
    [['GET', ''], {}],
    [['GET', '/', 'a'], {}],
    [['CONNECT', 'a:1'], {}],
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
