import { once } from 'node:events'
import type { Socket } from 'node:net'
import { RESET } from '@instatunnel/kit/frames'
import { describe, expect, it } from 'vitest'
import { connectedAgent } from '../../test/agents.ts'
import { startHttp, startRaw, unusedPort } from '../../test/local-servers.ts'
import { ask, Visitor } from '../../test/relay-end.ts'

/** A raw server that keeps what it is sent, and answers each request with these bytes. */
async function startAnswering(answer: string | ((nth: number) => string)) {
  const sent: string[] = []
  const { port } = await startRaw((socket, nth) => {
    sent.push('')
    socket.on('data', (chunk) => {
      sent[nth - 1] += chunk.toString('latin1')
      if (sent[nth - 1]?.endsWith('\r\n\r\n'))
        socket.write(typeof answer === 'string' ? answer : answer(nth), 'latin1')
    })
  })
  return { port, sent }
}

const EMPTY_ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'

describe('a request', () => {
  it('reaches the local server byte for byte: order, letter case, repeated headers, nothing added', async () => {
    const { port, sent } = await startAnswering(EMPTY_ANSWER)
    const agent = await connectedAgent(port)
    const headers = [
      'Host',
      'docs-demo.localhost:8080',
      'X-b',
      '1',
      'x-A',
      '2',
      'X-B',
      '',
      'cookie',
      'a=\xe9',
    ]
    await ask(agent, { path: '/a%2Fb//../c?d=%20&e=\xe9', headers })
    expect(sent).toEqual([
      'GET /a%2Fb//../c?d=%20&e=\xe9 HTTP/1.1\r\nHost: docs-demo.localhost:8080\r\nX-b: 1\r\nx-A: 2\r\nX-B: \r\ncookie: a=\xe9\r\n\r\n',
    ])
  })

  it.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY'])(
    '%s without a body has none, and no length that was not said',
    async (method) => {
      const { port, sent } = await startAnswering(EMPTY_ANSWER)
      const agent = await connectedAgent(port)
      await ask(agent, { method, headers: ['host', 'a'] })
      expect(sent).toEqual([`${method} / HTTP/1.1\r\nhost: a\r\n\r\n`])
    },
  )

  it('has its body as it is, of known length or in chunks, and its trailers', async () => {
    const seen: unknown[] = []
    const { port } = await startHttp(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const { 'content-length': length, 'transfer-encoding': coding } = request.headers
      seen.push([Buffer.concat(chunks).toString(), length, coding, request.rawTrailers])
      response.end()
    })
    const agent = await connectedAgent(port)
    const post = { method: 'POST', body: ['some ', 'body'] }
    await ask(agent, { ...post, headers: ['host', 'a', 'content-length', '9'] })
    await ask(agent, { ...post, headers: ['host', 'a', 'transfer-encoding', 'chunked'] })
    await ask(agent, { ...post, headers: ['host', 'a'] })
    const trailers = ['x-Sum', '1', 'x-sum', '2']
    await ask(agent, { ...post, headers: ['host', 'a', 'trailer', 'x-sum'], trailers })
    await ask(agent, { ...post, method: 'GET', headers: ['host', 'a'] })
    expect(seen).toEqual([
      ['some body', '9', undefined, []],
      ['some body', undefined, 'chunked', []],
      ['some body', undefined, 'chunked', []],
      ['some body', undefined, 'chunked', trailers],
      ['some body', undefined, 'chunked', []],
    ])
  })

  it('goes on as it comes: its head at once, and each piece of its body', async () => {
    const told: string[] = []
    const { port } = await startHttp((request, response) => {
      told.push('head')
      request.on('data', (chunk) => told.push(String(chunk)))
      request.on('end', () => response.end())
    })
    const { link } = await connectedAgent(port)
    const visitor = new Visitor(link, { method: 'POST', headers: ['host', 'a'], body: false })
    await expect.poll(() => told).toEqual(['head'])
    visitor.stream.send(Buffer.from('one'))
    await expect.poll(() => told).toEqual(['head', 'one'])
    visitor.stream.send(Buffer.from('two'), true)
    await visitor.over
    expect(told).toEqual(['head', 'one', 'two'])
  })

  it('that expects 100-continue is told by the local server whether its body is wanted', async () => {
    const { port, server } = await startHttp(() => {})
    server.on('checkContinue', (request, response) => {
      if (request.url === '/no') {
        response.writeHead(417).end()
        return
      }
      response.writeContinue()
      request.resume().on('end', () => response.end('thanks'))
    })
    const { link } = await connectedAgent(port)
    const headers = ['host', 'a', 'content-length', '4', 'expect', '100-continue']
    const wanted = new Visitor(link, { method: 'POST', headers, body: false })
    await expect.poll(() => wanted.informed).toEqual(['100\nContinue'])
    wanted.stream.send(Buffer.from('body'), true)
    await wanted.over
    expect([wanted.status, wanted.body]).toEqual(['200', 'thanks'])
    const unwanted = new Visitor(link, { method: 'POST', path: '/no', headers, body: false })
    await unwanted.over
    expect([unwanted.status, unwanted.informed]).toEqual(['417', []])
  })

  it('has another Host where the agent is told so, and only that is other', async () => {
    const { port, sent } = await startAnswering(EMPTY_ANSWER)
    const agent = await connectedAgent(port, { host: 'localhost:3000' })
    await ask(agent, {
      headers: [
        'x-forwarded-host',
        'a',
        'HOST',
        'docs-demo.localhost',
        'origin',
        'http://docs-demo.localhost',
      ],
    })
    expect(sent[0]).toBe(
      'GET / HTTP/1.1\r\nx-forwarded-host: a\r\nHOST: localhost:3000\r\norigin: http://docs-demo.localhost\r\n\r\n',
    )
  })

  it('that the visitor gives up ends at the local server too, at once', async () => {
    const closed: string[] = []
    const { port } = await startHttp((request, response) => {
      response.on('close', () => closed.push(`${request.url} ${response.writableFinished}`))
      if (request.url === '/streams') response.write('first')
    })
    const { link, events } = await connectedAgent(port)
    const waits = new Visitor(link, { path: '/waits', headers: ['host', 'a'] })
    const streams = new Visitor(link, { path: '/streams', headers: ['host', 'a'] })
    const sends = new Visitor(link, { method: 'POST', path: '/sends', headers: ['host', 'a'], body: false })
    await expect.poll(() => streams.body).toBe('first')
    for (const { stream } of [waits, streams, sends]) stream.reset(RESET.cancelled)
    await expect.poll(() => closed.sort()).toEqual(['/sends false', '/streams false', '/waits false'])
    const told = events.filter(({ kind }) => kind === 'request')
    expect(told).toMatchObject([
      { path: '/waits', status: undefined, fault: 'cancelled' },
      { path: '/streams', status: 200, bytes: 5, fault: 'cancelled' },
      { path: '/sends', status: undefined, fault: 'cancelled' },
    ])
  })

  it.each<[string, string, Partial<ConstructorParameters<typeof Visitor>[1]>]>([
    ['longer than announced', 'content-length', { body: ['12345', '6'] }],
    ['shorter than announced', 'content-length', { body: ['1234'] }],
    ['empty, though it was announced', 'content-length', {}],
  ])('whose body is %s never becomes another one', async (_what, name, request) => {
    const sent: string[] = []
    const { port } = await startRaw((socket) => socket.on('data', (chunk) => sent.push(String(chunk))))
    const agent = await connectedAgent(port)
    const visitor = await ask(agent, { method: 'POST', headers: ['host', 'a', name, '5'], ...request })
    expect(visitor.given?.code).toBeDefined()
    expect(sent.join('')).not.toMatch(/6/)
    expect(agent.link.ended).toBe(false)
  })

  it.each([
    ['nothing', ''],
    ['no path', 'GET'],
    ['an empty path', 'GET\n'],
    ['a path with a blank', 'GET\n/a b'],
    ['a path with a line', 'GET\n/a\r\nx: y'],
    ['a method that is none', 'G ET\n/'],
    ['CONNECT', 'CONNECT\na:443'],
    ['a header without a value', 'GET\n/\nhost'],
    ['a header without a name', 'GET\n/\n\nvalue'],
    ['a name that is none', 'GET\n/\na b\nc'],
    ['a value with a return', 'GET\n/\na\nb\rc'],
    ['a value with a zero', 'GET\n/\na\nb\0c'],
    ['two lengths', 'POST\n/\ncontent-length\n1\ncontent-length\n1'],
    ['a length that is none', 'POST\n/\ncontent-length\n1x'],
    ['a negative length', 'POST\n/\ncontent-length\n-1'],
    ['a length and chunks', 'POST\n/\ncontent-length\n1\ntransfer-encoding\nchunked'],
    ['another coding', 'POST\n/\ntransfer-encoding\ngzip, chunked'],
  ])('with %s for a head is reset, and harms nothing', async (_what, head) => {
    const { port, sent } = await startAnswering(EMPTY_ANSWER)
    const agent = await connectedAgent(port)
    for (const body of [undefined, ['x'], false] as const) {
      const visitor = await ask(agent, { head, ...(body === undefined ? {} : { body }) })
      expect(visitor.given).toEqual({ code: RESET.local_broken, message: 'the request is no HTTP' })
    }
    expect((await ask(agent)).status).toBe('200')
    expect(sent).toEqual(['GET / HTTP/1.1\r\n\r\n'])
  })
})

describe('an answer', () => {
  it('reaches the visitor byte for byte, and its reason', async () => {
    const { port } = await startAnswering(
      'HTTP/1.1 201 Made \xe9\r\nX-b: 1\r\nSet-Cookie: a=1\r\nx-A: \xe9\r\nset-cookie: b=2\r\nContent-Length: 2\r\n\r\nok',
    )
    const agent = await connectedAgent(port)
    const { answer, body, ended } = await ask(agent)
    expect(answer).toBe(
      '201\nMade \xe9\nX-b\n1\nSet-Cookie\na=1\nx-A\n\xe9\nset-cookie\nb=2\nContent-Length\n2',
    )
    expect([body, ended]).toEqual(['ok', true])
  })

  it('may have a thousand headers more than Node takes by itself', async () => {
    const many = Array.from({ length: 3000 }, (_, n) => `h${n}: ${n}\r\n`).join('')
    const { port } = await startAnswering(`HTTP/1.1 200 OK\r\n${many}content-length: 0\r\n\r\n`)
    const agent = await connectedAgent(port)
    expect((await ask(agent)).headers).toHaveLength(6002)
  })

  it('follows what comes before it: 102, 103 and its headers', async () => {
    const { port } = await startHttp((_request, response) => {
      response.writeProcessing()
      response.writeEarlyHints({ link: ['</a.css>; rel=preload', '</b.css>; rel=preload'] })
      response.end('then')
    })
    const agent = await connectedAgent(port)
    const { informed, status, body } = await ask(agent, { headers: ['host', 'a'] })
    expect(informed).toEqual([
      '102\nProcessing',
      '103\nEarly Hints\nLink\n</a.css>; rel=preload, </b.css>; rel=preload',
    ])
    expect([status, body]).toEqual(['200', 'then'])
  })

  it('has its trailers', async () => {
    const { port } = await startAnswering(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n',
    )
    const agent = await connectedAgent(port)
    expect(await ask(agent)).toMatchObject({ body: 'abc', trailed: 'X-Sum\n1\nx-sum\n2', ended: true })
  })

  it.each([
    ['to HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    [
      '304, with the length that it would have',
      'GET',
      'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
    ],
    ['of length 0', 'GET', EMPTY_ANSWER],
  ])('%s has no body, and the connection goes on', async (_what, method, answer) => {
    const { port, sent } = await startAnswering(answer)
    const agent = await connectedAgent(port)
    for (let nth = 0; nth < 3; nth++)
      expect(await ask(agent, { method })).toMatchObject({ ended: true, bytes: 0 })
    expect(sent).toHaveLength(1)
  })

  it('without a length lasts until the connection ends', async () => {
    const { port } = await startRaw((socket) => {
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nall of it'))
    })
    const agent = await connectedAgent(port)
    expect(await ask(agent)).toMatchObject({ body: 'all of it', ended: true, given: undefined })
  })

  it('arrives as it is written, whatever its type', async () => {
    let write = (_text: string) => {}
    const { port } = await startHttp((_request, response) => {
      response.flushHeaders()
      write = (text) => response.write(text)
    })
    const { link } = await connectedAgent(port)
    const visitor = new Visitor(link, { headers: ['host', 'a'] })
    await expect.poll(() => visitor.status).toBe('200')
    for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
      const before = visitor.body
      write(text)
      await expect.poll(() => visitor.body).toBe(before + text)
    }
  })
})

describe('a local server', () => {
  it('that does not listen is down, and is asked again for the next request', async () => {
    const port = await unusedPort()
    const agent = await connectedAgent(port)
    const { given } = await ask(agent)
    expect(given).toEqual({ code: RESET.local_down, message: expect.stringContaining('ECONNREFUSED') })
    expect(agent.events.at(-1)).toMatchObject({ kind: 'request', status: 502, fault: given?.message })
    const { server } = await startHttp((_request, response) => response.end())
    server.close()
    await once(server.listen(port, '127.0.0.1'), 'listening')
    expect((await ask(agent, { headers: ['host', 'a'] })).status).toBe('200')
  })

  it.each(['127.0.0.1', '::1'])('is found on %s', async (host) => {
    const { port } = await startHttp((request, response) => response.end(request.socket.localAddress), host)
    const agent = await connectedAgent(port)
    for (let nth = 0; nth < 2; nth++)
      expect((await ask(agent, { headers: ['host', 'a', 'connection', 'close'] })).body).toBe(host)
  })

  it.each<[string, string]>([
    ['speaks no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['says a length twice', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
    [
      'says a length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['has a head of more than 64 KiB', `HTTP/1.1 200 OK\r\na: ${'x'.repeat(70_000)}\r\n\r\n`],
    ['switches protocols unasked', 'HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
  ])('that %s is broken', async (_what, answer) => {
    const { port } = await startAnswering(answer)
    const agent = await connectedAgent(port)
    const visitor = await ask(agent)
    expect(visitor).toMatchObject({ answer: undefined, given: { code: RESET.local_broken } })
    expect(agent.events.at(-1)).toMatchObject({ kind: 'request', status: 502, fault: visitor.given?.message })
  })

  it('that breaks off before its answer is broken', async () => {
    const { port } = await startRaw((socket) => socket.on('data', () => socket.destroy()))
    const agent = await connectedAgent(port)
    expect(await ask(agent)).toMatchObject({ answer: undefined, given: { code: RESET.local_broken } })
  })

  it.each<[string, string]>([
    ['a body of known length', 'content-length: 10\r\n\r\n12345'],
    ['a chunk', 'transfer-encoding: chunked\r\n\r\na\r\n12345'],
    ['between chunks', 'transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n'],
  ])('that breaks off in %s gives an answer that nobody takes for whole', async (_what, rest) => {
    const { port } = await startRaw((socket) => {
      socket.on('data', () => socket.end(`HTTP/1.1 200 OK\r\n${rest}`))
    })
    const agent = await connectedAgent(port)
    const visitor = await ask(agent)
    expect(visitor).toMatchObject({
      status: '200',
      body: '12345',
      ended: false,
      given: { code: RESET.local_broken },
    })
  })

  it('that sends chunks which are none gives an answer that nobody takes for whole', async () => {
    const { port } = await startAnswering(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n',
    )
    const agent = await connectedAgent(port)
    const visitor = await ask(agent)
    expect(visitor).toMatchObject({ status: '200', ended: false, given: { code: RESET.local_broken } })
  })

  it('that says more than its answer is not asked again on that connection', async () => {
    const { port, sent } = await startAnswering(
      `${EMPTY_ANSWER}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`,
    )
    const agent = await connectedAgent(port)
    for (let nth = 0; nth < 2; nth++) expect(await ask(agent)).toMatchObject({ status: '200', body: '' })
    expect(sent).toHaveLength(2)
  })

  it('that speaks unasked on an idle connection is not asked again on that one', async () => {
    const sockets: Socket[] = []
    const { port } = await startRaw((socket) => {
      sockets.push(socket)
      socket.on('data', () => socket.write(EMPTY_ANSWER))
    })
    const agent = await connectedAgent(port)
    await ask(agent)
    const [socket] = sockets
    if (!socket) throw new Error('there is no connection')
    const closed = once(socket.resume(), 'close')
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil')
    await Promise.race([closed, once(socket, 'end')])
    expect((await ask(agent)).body).toBe('')
    expect(sockets).toHaveLength(2)
  })

  it('that answers before it has read the request may read on', async () => {
    const bodies: string[] = []
    const { port } = await startHttp((request, response) => {
      response.end('early')
      let body = ''
      request.on('data', (chunk) => (body += chunk))
      request.on('end', () => bodies.push(body))
    })
    const { link } = await connectedAgent(port)
    const headers = ['host', 'a', 'content-length', '4']
    const visitor = new Visitor(link, { method: 'POST', headers, body: false })
    await visitor.over
    visitor.stream.send(Buffer.from('late'), true)
    await expect.poll(() => bodies).toEqual(['late'])
    expect([visitor.body, link.size]).toEqual(['early', 0])
  })
})

describe('a local server that refuses a body while it comes', () => {
  it('is heard, although it ends the connection', async () => {
    const { port } = await startRaw((socket) => {
      const answer = 'HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nno!'
      socket.once('data', () => socket.end(answer))
    })
    const { link } = await connectedAgent(port)
    for (let nth = 0; nth < 20; nth++) {
      const headers = ['host', 'a', 'content-length', '100000000']
      const visitor = new Visitor(link, { method: 'POST', headers, body: false })
      const piece = Buffer.alloc(64 * 1024)
      const sendAll = () => {
        while (!visitor.ended && !visitor.given && visitor.stream.send(piece));
      }
      visitor.writable = sendAll
      sendAll()
      await visitor.over
      expect([visitor.status, visitor.body, visitor.ended]).toEqual(['413', 'no!', true])
      visitor.stream.reset(RESET.cancelled)
    }
    expect(link.size).toBe(0)
  })
})

describe('a connection that was kept', () => {
  /** Answers the first request of each connection, and ends it at the second. */
  const startForgetful = async () => {
    const requests: string[] = []
    const { port } = await startRaw((socket, nth) => {
      let seen = 0
      socket.on('data', (chunk) => {
        requests.push(`${nth} ${String(chunk).split(' ')[0]}`)
        if (seen++ === 0) socket.write(EMPTY_ANSWER)
        else socket.destroy()
      })
    })
    return { port, requests }
  }

  it('is used for the next request', async () => {
    const { port, sent } = await startAnswering(EMPTY_ANSWER)
    const agent = await connectedAgent(port)
    for (let nth = 0; nth < 5; nth++) await ask(agent)
    expect(sent).toHaveLength(1)
  })

  it.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])(
    'and breaks before an answer costs %s nothing',
    async (method) => {
      const { port, requests } = await startForgetful()
      const agent = await connectedAgent(port)
      await ask(agent)
      expect((await ask(agent, { method })).status).toBe('200')
      expect(requests).toEqual(['1 GET', `1 ${method}`, `2 ${method}`])
    },
  )

  it.each([
    ['what must not be done twice', { method: 'POST' }],
    ['what has a body', { method: 'PUT', headers: ['content-length', '1'], body: ['x'] }],
  ])('and breaks before an answer is the end of %s', async (_what, request) => {
    const { port, requests } = await startForgetful()
    const agent = await connectedAgent(port)
    await ask(agent)
    expect((await ask(agent, request)).given).toMatchObject({ code: RESET.local_broken })
    expect(requests).toEqual(['1 GET', `1 ${request.method}`])
  })

  it('is not the second time, where a new one breaks too', async () => {
    let connections = 0
    const { port } = await startRaw((socket, nth) => {
      connections = nth
      let seen = 0
      socket.on('data', () => (nth === 1 && seen++ === 0 ? socket.write(EMPTY_ANSWER) : socket.destroy()))
    })
    const agent = await connectedAgent(port)
    await ask(agent)
    expect((await ask(agent)).given).toMatchObject({ code: RESET.local_broken })
    expect(connections).toBe(2)
  })
})
