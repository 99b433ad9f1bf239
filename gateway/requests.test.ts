import { once } from 'node:events'
import { request } from 'node:http'
import { connect, constants } from 'node:http2'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answers, expectAnswer, fieldBody } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'
import { sendRaw } from './test/raw-http.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  gateway.tunnels.heard.length = 0
  gateway.auth.check.asked.length = 0
})

/** Sends a request head and body as they are written here, with "\n" for CRLF. */
const send = (head: string, body = '') =>
  sendRaw(gateway.port, [`${head.replaceAll('\n', '\r\n')}\r\n\r\n`, body])
const heardNothing = () => expect([gateway.tunnels.heard, gateway.auth.check.asked]).toEqual([[], []])
/** What the transcoder or request.lua refuses: auth has been asked. */
const noServiceHeard = () => expect(gateway.tunnels.heard).toEqual([])

const oddPath = [
  400,
  fieldBody('path', 'must not hold empty or dot segments, backslashes or encoded separators'),
] as const

describe('paths', () => {
  const odd = [
    '//v1/tunnels',
    '/v1//tunnels',
    '/v1/tunnels//',
    '/v1/./tunnels',
    '/v1/tunnels/.',
    '/v1/../v1/tunnels',
    '/v1/tunnels/..',
    '/v1/tunnels/../keys',
    '/v1/tunnels/%2e%2e',
    '/v1/tunnels/%2E',
    '/v1/tunnels/.%2e/x',
    '/v1/tunnels/a%2fb',
    '/v1/tunnels/a%2Fb',
    '/v1/tunnels/a%5cb',
    '/v1/tunnels/a%5Cb',
    '/v1/tunnels/a\\b',
    '/v1\\tunnels',
    '/v1/tunnels/..?page_size=1',
  ]
  for (const path of odd) {
    it(`refuses ${path}`, async () => {
      expectAnswer(await gateway.call('GET', path), oddPath)
      heardNothing()
    })
  }

  it('refuses an odd path before it waits for the body', async () => {
    expectAnswer(await send('POST /v1//tunnels HTTP/1.1\nHost: api.test\nContent-Length: 1000', '{'), oddPath)
  })

  const fine: [path: string, id: string][] = [
    ['/v1/tunnels/tun_1', 'tun_1'],
    ['/v1/tunnels/...', '...'],
    ['/v1/tunnels/a.b', 'a.b'],
    ['/v1/tunnels/a%20b', 'a b'],
    ['/v1/tunnels/a"<>b', 'a"<>b'],
    ['/v1/tunnels/%252e', '%2e'],
    ['/v1/tunnels/a%00b', 'a\0b'],
    ['/v1/tunnels/a%ffb', 'a\ufffdb'],
    ['/v1/tunnels/%', '%'],
    [`/v1/tunnels/${'a'.repeat(20_000)}`, 'a'.repeat(20_000)],
  ]
  for (const [path, id] of fine) {
    it(`hands ${path.slice(0, 30)} on as it is`, async () => {
      expect((await gateway.call('GET', path)).status).toBe(200)
      expect(gateway.tunnels.heard[0]?.request).toEqual({ id })
    })
  }

  it('leaves the query alone', async () => {
    await gateway.call('GET', '/v1/tunnels?page_token=//../%2f%5c')
    expect(gateway.tunnels.heard[0]?.request).toEqual({
      pageSize: 0,
      pageToken: '//../\\'.replace('\\', '/\\'),
    })
  })

  for (const query of ['id=b', 'minutes=1&id=b', 'i%64=b', '%69d=', '%69%64=b&minutes=1']) {
    it(`does not let ?${query} override the path's id`, async () => {
      const answer = await gateway.call('GET', `/v1/tunnels/a/stats?${query}`)
      expectAnswer(answer, [400, fieldBody('id', 'belongs in the path')])
      noServiceHeard()
    })
  }

  for (const query of ['user_id=b', 'userId=b', 'reason=x&user%5fid=b'])
    it(`does not let ?${query} name another account than the path`, async () => {
      const answer = await gateway.call('DELETE', `/v1/admin/users/a/keys?${query}`)
      expect([answer.status, JSON.parse(answer.body).error]).toEqual([400, 'validation_error'])
      noServiceHeard()
    })

  for (const path of [
    '/',
    '/v1',
    '/v1/nothing',
    '/v1/TUNNELS',
    '/v1/tunnels/a/b',
    '/healthz/x',
    '/v1/tunnels/..;/x',
  ]) {
    it(`answers 404 at ${path}`, async () => {
      expectAnswer(await gateway.call('GET', path), answers.noSuchPath)
      noServiceHeard()
    })
  }

  for (const target of ['v1/tunnels', '?a=1', '/v1/tunnels/a b', '/v1/tunnels/\xff', '/v1/tunnels#a']) {
    it(`refuses the request target ${JSON.stringify(target)}`, async () => {
      expectAnswer(await send(`GET ${target} HTTP/1.1\nHost: api.test`), answers.badHttp)
    })
  }

  it('takes an absolute request target, whose host counts', async () => {
    const from = (target: string) => send(`GET ${target} HTTP/1.1\nHost: other.test`)
    expect((await from('http://api.test/v1/tunnels')).status).toBe(200)
    expectAnswer(await from('http://other.test/v1/tunnels'), answers.noSuchPath)
  })
})

describe('methods', () => {
  for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
    it(`answers 404 to ${method} where the contract has none`, async () => {
      expectAnswer(await gateway.call(method, '/v1/tunnels'), answers.noSuchPath)
      noServiceHeard()
    })
  }

  it('answers HEAD with the head alone', async () => {
    const answer = await gateway.call('HEAD', '/v1/tunnels')
    expect([answer.status, answer.body]).toEqual([404, ''])
  })

  for (const method of ['FOO', 'get']) {
    it(`refuses the method ${method}`, async () => {
      expectAnswer(await gateway.call(method, '/v1/tunnels'), answers.badHttp)
    })
  }

  it('refuses CONNECT', async () => {
    for (const host of ['api.test', 'other.test'])
      expectAnswer(await send(`CONNECT ${host}:80 HTTP/1.1\nHost: ${host}`), answers.forbidden)
  })

  it('refuses an upgrade', async () => {
    const head = 'GET /v1/tunnels HTTP/1.1\nHost: api.test\nConnection: upgrade\nUpgrade: websocket'
    expectAnswer(await send(head), answers.forbidden)
    heardNothing()
  })
})

describe('hosts', () => {
  it('takes its own with any port, in any case', async () => {
    for (const host of ['api.test', 'api.test:8080', 'API.Test'])
      expect((await gateway.call('GET', '/v1/tunnels', { host })).status).toBe(200)
  })

  for (const head of ['Host: other.test', 'Host: api.test.', 'Host:', 'Host: api.test\nHost: other.test']) {
    it(`answers 404 to ${JSON.stringify(head)}`, async () => {
      expectAnswer(
        await send(`POST /v1/tunnels HTTP/1.1\n${head}\nContent-Length: 9`, '{'),
        answers.noSuchPath,
      )
      heardNothing()
    })
  }

  for (const head of ['X: y', 'Host: a b']) {
    it(`refuses ${JSON.stringify(head)}`, async () => {
      expectAnswer(await send(`GET /v1/tunnels HTTP/1.1\n${head}`), answers.badHttp)
    })
  }
})

describe('HTTP', () => {
  const post = 'POST /v1/tunnels HTTP/1.1\nHost: api.test\nContent-Type: application/json'
  const chunked = '2\r\n{}\r\n0\r\n\r\n'
  const smuggled: [name: string, head: string, body: string][] = [
    ['both a length and chunks', 'Content-Length: 4\nTransfer-Encoding: chunked', chunked],
    ['two lengths', 'Content-Length: 2\nContent-Length: 3', '{} '],
    ['the same length twice', 'Content-Length: 2\nContent-Length: 2', '{}'],
    ['a negative length', 'Content-Length: -2', '{}'],
    ['a length with a sign', 'Content-Length: +2', '{}'],
    ['white space before a colon', 'X : y\nContent-Length: 2', '{}'],
    ['a header without a colon', 'X\nContent-Length: 2', '{}'],
    ['a NUL in a header', 'X: \0\nContent-Length: 2', '{}'],
  ]
  for (const [name, head, body] of smuggled) {
    it(`refuses ${name}`, async () => {
      expectAnswer(await send(`${post}\n${head}`, body), answers.badHttp)
      heardNothing()
    })
  }

  for (const encoding of ['xchunked', 'gzip, chunked']) {
    it(`refuses Transfer-Encoding: ${encoding}`, async () => {
      expectAnswer(await send(`${post}\nTransfer-Encoding: ${encoding}`, chunked), answers.transferEncoding)
      heardNothing()
    })
  }

  for (const version of ['HTTP/1.0', 'HTTP/1.2']) {
    it(`refuses ${version}`, async () => {
      expectAnswer(await send(`GET /v1/tunnels ${version}\nHost: api.test`), answers.oldHttp)
    })
  }

  it('takes a body in chunks, and drops its trailers', async () => {
    const body = '2\r\n{"\r\n9\r\nname":"a"\r\n1\r\n}\r\n0\r\nx-instatunnel-identity: forged\r\n\r\n'
    expect((await send(`${post}\nTransfer-Encoding: chunked`, body)).status).toBe(200)
    expect(gateway.tunnels.heard[0]).toMatchObject({
      request: { name: 'a' },
      metadata: { 'x-instatunnel-identity': 'identity-of-ours' },
    })
  })

  it('answers Expect: 100-continue before the body comes', async () => {
    const headers = { host: 'api.test', 'content-type': 'application/json', expect: '100-continue' }
    const call = request({ port: gateway.port, method: 'POST', path: '/v1/tunnels', headers, agent: false })
    call.flushHeaders()
    await once(call, 'continue')
    call.end('{"name":"a"}')
    const [answer] = await once(call, 'response')
    answer.resume()
    expect(answer.statusCode).toBe(200)
  })

  it('refuses before the body comes where Expect: 100-continue asks for that', async () => {
    const ask = async (path: string, headers: Record<string, string>) => {
      const all = { host: 'api.test', 'content-type': 'application/json', expect: '100-Continue', ...headers }
      const call = request({ port: gateway.port, method: 'POST', path, headers: all, agent: false })
      call.flushHeaders()
      const [answer] = await once(call, 'response')
      call.destroy()
      return answer.statusCode
    }
    expect(await ask('/v1//tunnels', { 'content-length': '9' })).toBe(400)
    expect(await ask('/v1/tunnels', { 'content-length': '9', 'content-type': 'application/grpc' })).toBe(415)
    expect(await ask('/v1/tunnels', { 'content-length': '9', host: 'nobody.test' })).toBe(404)
    heardNothing()
  })

  it('serves HTTP/1.1 where h2c is asked for by upgrade', async () => {
    const head = 'GET /v1/tunnels HTTP/1.1\nHost: api.test\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c'
    expect((await send(`${head}\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA`)).status).toBe(200)
  })

  it('speaks HTTP/2 with prior knowledge', async () => {
    const session = connect(`http://127.0.0.1:${gateway.port}`)
    const stream = session.request({ ':path': '/v1/tunnels', ':authority': 'api.test' })
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      stream.on('response', resolve)
      stream.on('error', reject)
    })
    expect(headers[constants.HTTP2_HEADER_STATUS]).toBe(200)
    expect(await stream.setEncoding('utf8').toArray()).toEqual(['{"tunnels":[],"next_page_token":""}'])
    session.close()
  })
})

describe('media types', () => {
  const post = (headers: Record<string, string>, body?: string) =>
    gateway.call('POST', '/v1/tunnels', { headers, body })

  for (const type of ['application/json', 'application/json; charset=utf-8', 'APPLICATION/JSON;x']) {
    it(`takes ${type}`, async () => {
      expect((await post({ 'content-type': type }, '{"name":"a"}')).status).toBe(200)
      expect(gateway.tunnels.heard[0]?.request).toMatchObject({ name: 'a' })
    })
  }

  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonx',
    'application/problem+json',
    'application/json, text/plain',
    'multipart/form-data; boundary=x',
    '',
  ]) {
    it(`refuses a body that is ${type || 'nothing at all'}`, async () => {
      expectAnswer(await post({ 'content-type': type }, '{"name":"a"}'), answers.mediaType)
      noServiceHeard()
    })
  }

  it('refuses a body that says nothing of itself', async () => {
    const head = 'POST /v1/tunnels HTTP/1.1\nHost: api.test'
    expectAnswer(await send(`${head}\nContent-Length: 2`, '{}'), answers.mediaType)
    expectAnswer(await send(`${head}\nTransfer-Encoding: chunked`, '2\r\n{}\r\n0\r\n\r\n'), answers.mediaType)
    noServiceHeard()
  })

  it('takes no body at all, whatever type that would have', async () => {
    for (const type of ['text/plain', 'application/json']) {
      const headers = { 'content-type': type, 'content-length': '0' }
      expect((await gateway.call('POST', '/v1/tunnels/tun_1/regenerate-token', { headers })).status).toBe(200)
    }
    expect((await gateway.call('POST', '/v1/tunnels/tun_1/regenerate-token')).status).toBe(200)
  })

  const rpc = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
  for (const type of [
    'application/grpc',
    'application/grpc+proto',
    'application/grpc-web+proto',
    'Application/gRPC',
  ]) {
    it(`refuses ${type}: gRPC is for the inside`, async () => {
      const headers = { 'content-type': type, te: 'trailers', 'x-envoy-original-path': '/v1/tunnels' }
      for (const path of [rpc, '/v1/tunnels', '/instatunnel.keys.internal.v1.KeyDirectoryService/FindKey'])
        expectAnswer(await gateway.call('POST', path, { headers, body: '\0\0\0\0\0' }), answers.mediaType)
      heardNothing()
    })
  }

  it('has no path for an rpc by its name', async () => {
    expectAnswer(await gateway.call('POST', rpc, { body: '{}' }), answers.noSuchPath)
    noServiceHeard()
  })
})

describe('sizes', () => {
  const bodyOf = (length: number) => `{"name":"${'a'.repeat(length - 11)}"}`
  const chunkedBody = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const bearer = 'Authorization: Bearer it_0123456789abcdef'
  const head = `POST /v1/tunnels HTTP/1.1\nHost: api.test\nContent-Type: application/json\n${bearer}`
  const sized = (length: number) => send(`${head}\nContent-Length: ${length}`, bodyOf(length))
  const chunked = (length: number) => send(`${head}\nTransfer-Encoding: chunked`, chunkedBody(bodyOf(length)))

  it('takes a body of 1 MiB', async () => {
    expect((await sized(1048576)).status).toBe(200)
    expect((await chunked(131072)).status).toBe(200) // whose length is not announced
    expect(gateway.tunnels.heard.map(({ request }) => (request.name as string).length)).toEqual([
      1048565, 131061,
    ])
  })

  it('refuses a body of one byte more', async () => {
    expectAnswer(await sized(1048577), answers.tooLarge)
    expect((await chunked(131073)).status).toBe(413)
    expectAnswer(await sized(5_000_000), answers.tooLarge)
    noServiceHeard()
  })

  it('takes headers of up to 32 KiB', async () => {
    const call = (length: number) =>
      gateway.call('GET', '/v1/tunnels', { headers: { x: 'a'.repeat(length) } })
    expect((await call(30_000)).status).toBe(200)
    expectAnswer(await call(33_000), answers.headersTooLarge)
    expectAnswer(await call(200_000), answers.headersTooLarge)
    expectAnswer(await gateway.call('GET', `/v1/tunnels/${'a'.repeat(40_000)}`), answers.headersTooLarge)
  })

  it('takes at most 100 headers', async () => {
    const call = (count: number) => {
      const headers = Array.from({ length: count - 2 }, (_, n) => [`x-${n}`, '1']) // beside Host and Connection
      return gateway.call('GET', '/v1/tunnels', { headers: Object.fromEntries(headers) })
    }
    expectAnswer(await call(102), answers.headersTooLarge)
    expectAnswer(await call(1002), answers.headersTooLarge)
    heardNothing()
    expect((await call(100)).status).toBe(200)
  })

  it('refuses larger headers over HTTP/2 by resetting the stream', async () => {
    const session = connect(`http://127.0.0.1:${gateway.port}`)
    const stream = session.request({
      ':path': '/v1/tunnels',
      ':authority': 'api.test',
      x: 'a'.repeat(40_000),
    })
    await expect(stream.toArray()).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' })
    session.close()
    heardNothing()
  })
})
