import { setTimeout as delay } from 'node:timers/promises'
import { RESET, WINDOW_BYTES } from '@instatunnel/kit/frames'
import type { LinkStream } from '@instatunnel/kit/link'
import { afterEach, describe, expect, it } from 'vitest'
import { allOf, type Carrying, startCarrying, until } from '../../test/carrying.ts'

let carrying: Carrying | undefined
afterEach(() => carrying?.close())

const start = async (options?: Parameters<typeof startCarrying>[0]) => {
  carrying = await startCarrying(options)
  return carrying
}
const GET = 'GET / HTTP/1.1\r\nHost: docs.example.com\r\n\r\n'

describe('a visit', () => {
  it('is sent as it came, and answered as the agent answers', async () => {
    const { agent, visitor, metered } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write(
      'PUT /a//b?q HTTP/1.1\r\nHost: docs.example.com\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n\r\nhello',
    )
    const { stream, lines, chunks, complete } = await played.next()
    expect(lines.slice(0, 10)).toEqual([
      'PUT',
      '/a//b?q',
      'Host',
      'docs.example.com',
      'Content-Length',
      '5',
      'X-A',
      '1',
      'X-A',
      '2',
    ])
    await complete
    expect(Buffer.concat(chunks).toString()).toBe('hello')
    stream.head('201\nMade\nX-B\n1\nX-B\n2\ncontent-length\n2', false)
    stream.send(Buffer.from('ok'), true)
    expect(await until(socket, '\r\n\r\nok')).toBe(
      'HTTP/1.1 201 Made\r\nX-B: 1\r\nX-B: 2\r\ncontent-length: 2\r\nConnection: keep-alive\r\n\r\nok',
    )
    expect(metered).toMatchObject({ requests: [2], bytesIn: 5, bytesOut: 2 })
    socket.destroy()
  })

  it('passes a head, and each piece of a body, as soon as they are there', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write(GET)
    const { stream } = await played.next()
    stream.head('200\nOK\ncontent-type\ntext/event-stream', false)
    await until(socket, '\r\n\r\n')
    stream.send(Buffer.from('data: 1\n\n'))
    await until(socket, 'data: 1\n\n')
    stream.send(Buffer.from('data: 2\n\n'), true)
    await until(socket, 'data: 2\n\n\r\n0\r\n\r\n')
    socket.destroy()
  })

  it('passes 103, and trailers both ways', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write(
      'POST / HTTP/1.1\r\nHost: docs.example.com\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n',
    )
    const { stream, lines, complete } = await played.next()
    expect(lines.join('\n')).toContain('\ntransfer-encoding\nchunked')
    expect(await complete).toBe('x-sum\n7')
    stream.head('103\nEarly Hints\nlink\n</a.css>; rel=preload', false)
    stream.head('200\nOK\ntrailer\nx-end', false)
    stream.send(Buffer.from('body'))
    stream.trailers('x-end\n9')
    const text = await until(socket, 'x-end: 9\r\n\r\n')
    expect(text).toMatch(
      /^HTTP\/1.1 103 Early Hints\r\nLink: <\/a.css>; rel=preload\r\n\r\nHTTP\/1.1 200 OK\r\n/i,
    )
    socket.destroy()
  })

  it('passes hints as they are: several in one line, repeated ones, and those without a link', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write(GET)
    const { stream } = await played.next()
    stream.head('103\nEarly Hints\nLink\n</a>; rel=preload, </b>; rel=preload\nlink\n</c>', false)
    stream.head('102\nProcessing', false)
    stream.head('103\nEarly Hints\nx-early\n1', false)
    stream.head('204\nNo Content', true)
    expect(await until(socket, '204 No Content\r\n')).toMatch(
      [
        'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload, </b>; rel=preload\r\nlink: </c>\r\n\r\n',
        'HTTP/1.1 102 Processing\r\n\r\n',
        'HTTP/1.1 103 Early Hints\r\nx-early: 1\r\n\r\nHTTP/1.1 204 No Content\r\n',
      ].join(''),
    )
    socket.destroy()
  })

  it("keeps what is ours to say out of a request's trailers", async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    const head = 'POST / HTTP/1.1\r\nHost: docs.example.com\r\nTransfer-Encoding: chunked\r\n\r\n'
    socket.write(`${head}0\r\nx-instatunnel-identity: i\r\nx-forwarded-for: 1.2.3.4\r\nCookie: a\r\n\r\n`)
    expect(await (await played.next()).complete).toBe('')
    socket.destroy()
  })

  it.each([
    [
      'a 304 that announces trailers',
      'GET',
      '304\nNot Modified\ntrailer\nx\netag\n"a"',
      'HTTP/1.1 304 Not Modified\r\n',
    ],
    ['a HEAD that announces trailers', 'HEAD', '200\nOK\ntrailer\nx\netag\n"a"', 'HTTP/1.1 200 OK\r\n'],
    [
      'a name of a file in latin1 behind a length',
      'GET',
      '200\nOK\ncontent-length\n0\ncontent-disposition\nattachment; filename="caf\xe9.txt"',
      'filename="caf\xe9.txt"\r\n',
    ],
  ])('passes %s', async (_, method, head, wanted) => {
    const { agent, visitor, metered } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write(GET.replace('GET', method))
    ;(await played.next()).stream.head(head, true)
    await until(socket, wanted)
    expect(metered.requests).toHaveLength(1)
    socket.destroy()
  })

  it('of what is no HTTP is refused in the one error shape', async () => {
    const { visitor } = await start()
    const socket = await visitor()
    socket.write('GET / HTTP/1.1\r\nHost docs\r\n\r\n')
    expect(await until(socket, '}')).toMatch(/^HTTP\/1.1 400 Bad Request\r\n[\s\S]*"code":4000}$/)
  })

  it('leaves it to the local server what else is expected', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write('GET / HTTP/1.1\r\nHost: docs.example.com\r\nExpect: tea\r\n\r\n')
    const { stream, lines } = await played.next()
    expect(lines.join('\n')).toContain('\nExpect\ntea')
    stream.head('417\nExpectation Failed\ncontent-length\n0', true)
    await until(socket, 'HTTP/1.1 417 Expectation Failed\r\n')
    socket.destroy()
  })

  it('asks the local server whether it wants a body that the visitor holds back', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write(
      'PUT / HTTP/1.1\r\nHost: docs.example.com\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
    )
    const { stream, lines, complete } = await played.next()
    expect(lines.join('\n')).toContain('\nExpect\n100-continue')
    stream.head('100\nContinue', false)
    await until(socket, 'HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('ok')
    await complete
    stream.head('204\nNo Content', true)
    await until(socket, 'HTTP/1.1 204 No Content\r\n')
    socket.destroy()
  })

  it('whose visitor was told to continue may take its time with the body', async () => {
    const { agent, visitor } = await start({ responseTimeoutMs: 1000 })
    const played = await agent()
    const socket = await visitor()
    socket.write(
      'PUT / HTTP/1.1\r\nHost: docs.example.com\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
    )
    const { stream, complete } = await played.next()
    stream.head('100\nContinue', false)
    await until(socket, 'HTTP/1.1 100 Continue\r\n\r\n')
    await delay(1200)
    socket.write('ok')
    await complete
    stream.head('204\nNo Content', true)
    await until(socket, 'HTTP/1.1 204 No Content\r\n')
    socket.destroy()
  })

  it('is not cut for a short timeout where its body is taken, and that is told once a heartbeat', async () => {
    const { agent, visitor } = await start({ responseTimeoutMs: 300 })
    const played = await agent()
    const socket = await visitor()
    const bytes = WINDOW_BYTES - 1024 // all of it leaves, and nothing is credited
    socket.write(`POST / HTTP/1.1\r\nHost: docs.example.com\r\nContent-Length: ${bytes}\r\n\r\n`)
    const upload = await played.next()
    upload.holds = true
    socket.write(Buffer.alloc(bytes))
    await upload.complete
    await delay(1600)
    upload.stream.consumed(bytes)
    upload.stream.head('200\nOK\ncontent-length\n0', true)
    expect(await until(socket, '\r\n\r\n')).toContain('HTTP/1.1 200 OK')
    socket.destroy()
  })

  it('of an answer without a body ends where its head does', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write('HEAD / HTTP/1.1\r\nHost: docs.example.com\r\n\r\n')
    const first = await played.next()
    first.stream.head('200\nOK\ncontent-length\n1000', true)
    expect(await until(socket, '\r\n\r\n')).toContain('content-length: 1000')
    socket.write(GET)
    const second = await played.next()
    second.stream.head('304\nNot Modified\netag\n"a"', true)
    await until(socket, 'etag: "a"\r\n')
    socket.destroy()
  })

  it.each([
    ['answered', (stream: LinkStream) => stream.head('413\nContent Too Large\ncontent-length\n0', true)],
    ['refused', (stream: LinkStream) => stream.reset(RESET.local_down)],
  ])('that is %s before its body is there leaves the connection to the next request', async (_, answer) => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    const bytes = 4 * WINDOW_BYTES
    socket.write(`POST / HTTP/1.1\r\nHost: docs.example.com\r\nContent-Length: ${bytes}\r\n\r\n`)
    socket.write(Buffer.alloc(bytes))
    const upload = await played.next()
    upload.holds = true // it gives no credit
    await expect.poll(() => Buffer.concat(upload.chunks).length).toBeGreaterThanOrEqual(WINDOW_BYTES)
    answer(upload.stream)
    await until(socket, '\r\n\r\n')
    socket.write(GET)
    ;(await played.next()).stream.head('200\nOK\ncontent-length\n0', true)
    await until(socket, 'HTTP/1.1 200 OK\r\n')
    socket.destroy()
  })

  it('whose body nobody takes is given up in time: that its visitor has gone cannot be seen', async () => {
    const { agent, visitor, metered } = await start({ responseTimeoutMs: 100 })
    const played = await agent()
    const socket = await visitor()
    const bytes = 64 * WINDOW_BYTES
    socket.write(`POST / HTTP/1.1\r\nHost: docs.example.com\r\nContent-Length: ${bytes}\r\n\r\n`)
    const { stream, reset } = await played.next()
    stream.sink = { ...stream.sink, data: () => {} } // it gives no credit
    stream.head('200\nOK', false)
    await until(socket, '\r\n\r\n')
    socket.write(Buffer.alloc(bytes))
    expect(await reset).toBe(RESET.too_slow)
    expect(metered.requests).toEqual([2])
    socket.destroy()
  })

  it('is not cut while its visitor pauses, nor while its body is taken, however slowly', async () => {
    const { agent, visitor } = await start({ responseTimeoutMs: 1000 })
    const played = await agent()
    const socket = await visitor()
    const bytes = 4 * WINDOW_BYTES
    socket.write(`POST / HTTP/1.1\r\nHost: docs.example.com\r\nContent-Length: ${bytes}\r\n\r\n`)
    const upload = await played.next()
    await delay(1200)
    upload.holds = true
    socket.write(Buffer.alloc(bytes))
    for (let taken = 0; taken < bytes; taken += WINDOW_BYTES / 4) {
      await expect.poll(() => Buffer.concat(upload.chunks).length).toBeGreaterThan(taken)
      await delay(150)
      upload.stream.consumed(WINDOW_BYTES / 4)
    }
    await upload.complete
    upload.stream.head('200\nOK\ncontent-length\n0', true)
    expect(await until(socket, '\r\n\r\n')).toContain('HTTP/1.1 200 OK')
    socket.destroy()
  })

  it('that its visitor gives up is given up at the agent', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write(GET)
    const { stream, reset } = await played.next()
    stream.head('200\nOK', false)
    await until(socket, '\r\n\r\n')
    socket.destroy()
    expect(await reset).toBe(RESET.cancelled)
  })
})

describe('a visit that fails', () => {
  it.each([
    [RESET.local_down, 502, 'tunnel_offline'],
    [RESET.local_broken, 502, 'tunnel_offline'],
    [RESET.too_many, 503, 'unavailable'],
    [RESET.too_slow, 504, 'timeout'],
  ])('with code %i is answered %i %s', async (code, status, error) => {
    const { agent, visitor, metered } = await start()
    const played = await agent()
    const socket = await visitor()
    socket.write(GET)
    ;(await played.next()).stream.reset(code)
    const text = await until(socket, '}')
    expect(text).toContain(`HTTP/1.1 ${status} `)
    expect(JSON.parse(text.slice(text.indexOf('{')))).toMatchObject({ error })
    expect(metered.requests).toEqual([5])
    socket.destroy()
  })

  it('is answered also where a fault of ours comes on top', async () => {
    const { agent, visitor, metered, visitors } = await start()
    const played = await agent()
    const socket = await visitor()
    Object.freeze(metered.requests)
    socket.write(GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    ;(await played.next()).stream.head('abc', true)
    expect(await allOf(socket)).toMatch(/^HTTP\/1.1 502 /)
    await expect.poll(() => [visitors(), played.link.size]).toEqual([0, 0])
  })

  it('in the middle of an answer is cut off, so that nobody takes it for whole', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    const all = allOf(socket)
    socket.write(GET)
    const { stream } = await played.next()
    stream.head('200\nOK', false)
    stream.send(Buffer.from('half'))
    await until(socket, 'half')
    played.socket.destroy()
    expect(await all).not.toContain('0\r\n\r\n')
  })

  it('as soon as an answer has begun shows what there is of it, and that it is not whole', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    for (const [half, seen] of [
      ['half', '4\r\nhalf\r\n'],
      ['', ''],
    ] as const) {
      const socket = await visitor()
      const all = allOf(socket)
      socket.write(GET)
      const { stream } = await played.next()
      stream.head('200\nOK\nx-a\n1', false)
      if (half !== '') stream.send(Buffer.from(half))
      stream.reset(RESET.local_broken)
      expect(await all).toMatch(new RegExp(`^HTTP/1.1 200 OK\r\nx-a: 1\r\n[^]*\r\n\r\n${seen}$`))
    }
  })

  it('without an answer in time is answered 504, and given up at the agent', async () => {
    const { agent, visitor } = await start({ responseTimeoutMs: 50 })
    const played = await agent()
    const socket = await visitor()
    socket.write(GET)
    const { reset } = await played.next()
    expect(await until(socket, '}')).toContain('HTTP/1.1 504 ')
    expect(await reset).toBe(RESET.too_slow)
    socket.destroy()
  })

  it('for one request too many at once is answered 503', async () => {
    const { agent, visitor } = await start({ maxRequests: 1 })
    const played = await agent()
    const [first, second] = [await visitor(), await visitor()]
    first.write(GET)
    await played.next()
    second.write(GET)
    expect(await until(second, '}')).toMatch(/^HTTP\/1.1 503 [\s\S]*retry-after: 1\r\n/i)
    first.destroy()
    second.destroy()
  })

  it('because its agent went is sent to another one, where it can be asked again', async () => {
    const { agent, visitor } = await start()
    const first = await agent()
    const socket = await visitor()
    socket.write(GET)
    await first.next()
    const second = await agent()
    first.socket.destroy()
    ;(await second.next()).stream.head('200\nOK\ncontent-length\n0', true)
    expect(await until(socket, '\r\n\r\n')).toContain('HTTP/1.1 200 OK')
    socket.destroy()
  })

  it('because its agent went is not sent again where that may do harm', async () => {
    const { agent, visitor } = await start()
    const first = await agent()
    const socket = await visitor()
    socket.write('POST / HTTP/1.1\r\nHost: docs.example.com\r\nContent-Length: 0\r\n\r\n')
    await first.next()
    await agent()
    first.socket.destroy()
    expect(await until(socket, '}')).toContain('HTTP/1.1 502 ')
    socket.destroy()
  })
})

describe("an agent's answer that would reach into another visitor's", () => {
  const answered = async (head: string, body = '') => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    const all = allOf(socket)
    socket.write(GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    const { stream } = await played.next()
    stream.head(head, body === '')
    if (body !== '') stream.send(Buffer.from(body), true)
    return all
  }

  it('by more than its length is cut off', async () => {
    expect(await answered('200\nOK\ncontent-length\n2', 'okHTTP/1.1 200 OK\r\n\r\n')).not.toContain('okHTTP')
  })

  it('by less than its length is cut off', async () => {
    const text = await answered('200\nOK\ncontent-length\n10', 'ok')
    expect(text.endsWith('ok')).toBe(false)
  })

  it.each([
    ['two lengths', '200\nOK\ncontent-length\n2\ncontent-length\n20'],
    ['a line break in a value', '200\nOK\nx-a\n1\r\nx-b: 2'],
    ['a line break in a name', '200\nOK\nx-a\r\nx-b\n1'],
    ['a line break in the reason', '200\nOK\r\nx-a: 1'],
    ['a change of protocol that nobody asked for', '101\nSwitching Protocols\nupgrade\nwebsocket'],
    ['no status', 'abc\nOK'],
    ['an odd list of headers', '200\nOK\nx-a'],
  ])('by %s is answered 502', async (_, head) => {
    expect(await answered(head)).toMatch(/^HTTP\/1.1 502 /)
  })

  it.each([
    ['a control character in the reason', '200\nO\x01K\ncontent-length\n2', 'GET'],
    ['a coloured reason', '200\n\x1b[31mOK', 'GET'],
    ['the reason of a 204', '204\nNo\x7fContent', 'GET'],
    ['the reason of a hint', '103\nEarly\x01Hints', 'GET'],
    ['a header of a 204', '204\nNo Content\nx-a\n1\x01', 'GET'],
    ['a header of a 304', '304\nNot Modified\nx a\n1', 'GET'],
    ['a header behind a length', '200\nOK\ncontent-length\n2\nx-a\n\x7f', 'GET'],
    ['a header for a HEAD', '200\nOK\nx-a\n1\x01', 'HEAD'],
  ])('by %s that is no HTTP is answered 502 whole, and nothing is left of it', async (_, head, method) => {
    const { agent, visitor, metered, visitors } = await start()
    const played = await agent()
    const socket = await visitor()
    const all = allOf(socket)
    socket.write(GET.replace('GET', method).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    ;(await played.next()).stream.head(head, false)
    const [answer = '', body] = (await all).split('\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n/)
    if (method === 'HEAD') expect(body).toBe('')
    else expect(JSON.parse(body ?? '')).toMatchObject({ error: 'tunnel_offline' })
    expect(metered.requests).toEqual([5])
    await expect.poll(() => [visitors(), played.link.size]).toEqual([0, 0])
  })

  it.each<[string, string, string, string, (stream: LinkStream) => void]>([
    ['a reset', 'GET', '200\nOK\ncontent-length\n2', 'ok', (stream) => stream.reset(RESET.local_broken)],
    [
      'more of it',
      'GET',
      '200\nOK\ncontent-length\n2',
      'ok',
      (stream) => stream.send(Buffer.from('HTTP/1.1 200 OK\r\n')),
    ],
    ['a second one', 'GET', '200\nOK\ncontent-length\n2', 'ok', (stream) => stream.head('200\nOK', true)],
    ['a body', 'HEAD', '200\nOK\ncontent-length\n2', '', (stream) => stream.send(Buffer.from('evil'))],
    ['a body, as there is none', 'GET', '204\nNo Content', '', (stream) => stream.send(Buffer.from('evil'))],
    ['a reset of nothing', 'GET', '304\nNot Modified', '', (stream) => stream.reset(RESET.lost)],
  ])(
    'by %s behind its end leaves the connection to who comes next',
    async (_, method, head, body, further) => {
      const { agent, visitor } = await start()
      const played = await agent()
      const socket = await visitor()
      socket.write(GET.replace('GET', method))
      const { stream } = await played.next()
      stream.head(head, false)
      if (body !== '') stream.send(Buffer.from(body))
      expect(await until(socket, `\r\n\r\n${body}`)).not.toContain('onnection: close')
      further(stream)
      socket.write(GET)
      ;(await played.next()).stream.head('200\nOK\nx-next\n1\ncontent-length\n0', true)
      expect(await until(socket, 'x-next: 1')).toMatch(/^HTTP\/1.1 200 OK\r\nx-next: 1/)
      socket.destroy()
    },
  )

  it('by a second answer is cut off', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    const all = allOf(socket)
    socket.write(GET)
    const { stream } = await played.next()
    stream.head('200\nOK', false)
    stream.head('200\nOK\nx-second\n1', false)
    expect(await all).not.toContain('x-second')
  })

  it('by what comes before it, without an end, is answered 502', async () => {
    const { agent, visitor } = await start()
    const played = await agent()
    const socket = await visitor()
    const all = allOf(socket)
    socket.write(GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    const { stream, reset } = await played.next()
    for (let sent = 0; sent <= 64; sent++) stream.head(`103\nEarly Hints\nx-a\n${'a'.repeat(1024)}`, false)
    expect(await reset).toBe(RESET.cancelled)
    expect(await all).toContain('HTTP/1.1 502 ')
  })

  it('by a body of an answer that has none is cut off', async () => {
    expect(await answered('204\nNo Content', 'HTTP/1.1 200 OK\r\n\r\n')).not.toContain('HTTP/1.1 200')
  })
})
