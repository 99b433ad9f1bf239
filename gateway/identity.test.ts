import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { failure } from './test/backend.ts'
import { errorBody, expectAnswer } from './test/error-shape.ts'
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
  gateway.tunnels.reply = () => ({})
  gateway.auth.check.decide = () => ({ admit: true })
})

const ok = [200, '{"tunnels":[],"next_page_token":""}'] as const

/** Everything of a browser and of a forger. */
const manyHeaders = {
  authorization: 'Bearer it_0123456789abcdef',
  cookie: 'session=eyJhbGciOiJFZERTQSJ9',
  origin: 'https://evil.test',
  'sec-fetch-site': 'cross-site',
  'sec-fetch-mode': 'cors',
  referer: 'https://evil.test/',
  accept: '*/*',
  'accept-language': 'en',
  'user-agent': 'browser',
  'x-request-id': 'chosen-by-the-client',
  'x-forwarded-for': '6.6.6.6',
  'x-forwarded-proto': 'https',
  'X-InstaTunnel-Identity': 'forged',
  'x-instatunnel-client-address': '6.6.6.6',
  'x-instatunnel-error-body': '{}',
  X_InstaTunnel_Identity: 'forged',
  'x-envoy-original-path': '/v1/admin/users',
  'x-envoy-upstream-rq-timeout-ms': '1',
  'x-envoy-retry-on': '5xx',
  'x-envoy-max-retries': '9',
  'x-envoy-external-address': '6.6.6.6',
  'x-envoy-decorator-operation': 'x',
  'grpc-timeout': '1n',
  'grpc-encoding': 'gzip',
  'grpc-accept-encoding': 'gzip',
}

describe('what auth is asked', () => {
  it('is method and path as they came, and the headers that it reads', async () => {
    expectAnswer(await gateway.call('GET', '/v1/tunnels?page_size=3', { headers: manyHeaders }), ok)
    const [{ attributes } = {}] = gateway.auth.check.asked
    expect(attributes?.request?.http).toMatchObject({
      method: 'GET',
      path: '/v1/tunnels?page_size=3',
      host: 'api.test',
      body: '',
    })
    expect(attributes?.request?.http?.headers).toEqual({
      authorization: 'Bearer it_0123456789abcdef',
      cookie: 'session=eyJhbGciOiJFZERTQSJ9',
      origin: 'https://evil.test',
      'sec-fetch-site': 'cross-site',
      'x-envoy-external-address': '127.0.0.1',
    })
  })

  it('joins what came twice, so that it can be seen', async () => {
    const twice = 'Bearer a\r\nauthorization: Bearer b\r\ncookie: a=1\r\ncookie: b=2'
    await gateway.call('GET', '/v1/tunnels', { headers: { authorization: twice } })
    expect(gateway.auth.check.asked[0]?.attributes?.request?.http?.headers).toEqual({
      authorization: 'Bearer a,Bearer b',
      cookie: 'a=1,b=2',
      'x-envoy-external-address': '127.0.0.1',
    })
  })

  it('has bytes that are not UTF-8 as "!"', async () => {
    await gateway.call('GET', '/v1/tunnels', { headers: { authorization: 'Bearer \xff' } })
    expect(gateway.auth.check.asked[0]?.attributes?.request?.http?.headers.authorization).toBe('Bearer !')
  })
})

describe('what a service hears', () => {
  it('is auth’s word and nothing that a client says of itself', async () => {
    gateway.auth.check.decide = () => ({
      admit: true,
      headers: { 'x-instatunnel-identity': 'signed' },
      remove: [],
    })
    await gateway.call('GET', '/v1/tunnels', { headers: manyHeaders })
    const { 'x-request-id': requestId, ...metadata } = gateway.tunnels.heard[0]?.metadata ?? {}
    expect(metadata).toEqual({
      'x-instatunnel-identity': 'signed',
      'user-agent': 'browser',
      origin: 'https://evil.test',
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'cors',
      referer: 'https://evil.test/',
      accept: '*/*',
      'accept-language': 'en',
      'x-envoy-external-address': '127.0.0.1',
      'x-envoy-original-path': '/v1/tunnels',
      'x-envoy-original-method': 'GET',
      'x-envoy-expected-rq-timeout-ms': '15000',
    })
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('has no identity where auth gives none', async () => {
    gateway.auth.check.decide = () => ({ admit: true, headers: {} })
    await gateway.call('GET', '/v1/tunnels', { headers: manyHeaders })
    expect(gateway.tunnels.heard[0]?.metadata).not.toHaveProperty('x-instatunnel-identity')
  })

  it('is nothing of gRPC that a client says, in headers or in trailers', async () => {
    const heard: IncomingHttpHeaders[] = []
    const server = createServer().on('stream', (stream, headers) => {
      const isCall = headers[':path'] !== '/grpc.health.v1.Health/Check'
      if (isCall) heard.push(headers)
      stream.on('trailers', (trailers) => heard.push(trailers))
      stream.on('end', () => {
        stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(Buffer.from(isCall ? [0, 0, 0, 0, 0] : [0, 0, 0, 0, 2, 8, 1])) // nothing at all, or SERVING
      })
      stream.resume()
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const there = await startGateway()
    try {
      await there.envoy.updateServices({ ...there.services, tunnels: [`127.0.0.1:${port}`] })
      const head = [
        ...['POST /v1/tunnels HTTP/1.1', 'Host: api.test', 'Content-Type: application/json'],
        ...['Transfer-Encoding: chunked', 'grpc-timeout: 1H', 'grpc-encoding: gzip', 'grpc-tags-bin: AAAA'],
      ]
      const body = '2\r\n{}\r\n0\r\ngrpc-status: 0\r\nx-a: 1\r\n\r\n'
      while (heard.length === 0) await sendRaw(there.port, `${head.join('\r\n')}\r\n\r\n${body}`)
      expect(heard).toHaveLength(1)
      expect(Object.keys(heard[0] ?? {}).filter((name) => name.startsWith('grpc-'))).toEqual([])
    } finally {
      await there.stop()
      server.close()
    }
  })

  it('is nothing where auth refuses', async () => {
    gateway.auth.check.decide = () => ({ admit: false, http: 403, body: '{}' })
    await gateway.call('GET', '/v1/tunnels')
    expect(gateway.tunnels.heard).toEqual([])
  })
})

describe('auth’s refusals', () => {
  const rates = { 'ratelimit-limit': '100', 'ratelimit-remaining': '0', 'ratelimit-reset': '7' }

  it('reach the client as they are', async () => {
    const refusals: [http: number, error: string, code: number, headers: Record<string, string>][] = [
      [401, 'unauthorized', 4001, { 'www-authenticate': 'Bearer realm="instatunnel"' }],
      [403, 'forbidden', 4003, {}],
      [404, 'not_found', 4004, {}],
      [429, 'rate_limited', 4029, { ...rates, 'retry-after': '7' }],
      [500, 'internal', 5000, {}],
    ]
    for (const [http, error, code, headers] of refusals) {
      const body = errorBody(error, code, 'A "message" of auth’s: 100 % \\ \u2028')
      gateway.auth.check.decide = () => ({ admit: false, http, body, headers })
      const answer = await gateway.call('GET', '/v1/tunnels')
      expectAnswer(answer, [http, body])
      expect(answer.headers).toMatchObject(headers)
    }
  })

  it('leave the RateLimit headers of an admitted call to whatever answers it', async () => {
    gateway.auth.check.decide = () => ({ admit: true, toClient: rates })
    const good = await gateway.call('GET', '/v1/tunnels')
    gateway.tunnels.reply = () => failure({ code: 5, http: 404, body: '{"error":"not_found"}' })
    const refused = await gateway.call('GET', '/v1/tunnels')
    gateway.tunnels.reply = () => failure({ code: 13 })
    const failed = await gateway.call('GET', '/v1/tunnels')
    expect([good.status, refused.status, failed.status]).toEqual([200, 404, 500])
    for (const answer of [good, refused, failed]) expect(answer.headers).toMatchObject(rates)
  })
})

describe('an answer of the API', () => {
  it('is kept by no cache, and its type is not guessed, whoever answers', async () => {
    const private_ = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
    const agent = { connection: 'Upgrade', upgrade: 'instatunnel' }
    gateway.relay.upgrade = (_, socket) =>
      socket.end('HTTP/1.1 409 No\r\nCache-Control: public\r\nContent-Length: 0\r\n\r\n')
    const answers = [
      await gateway.call('GET', '/v1/tunnels'),
      await gateway.call('GET', '/v1/tunnels?id=x'),
      await gateway.call('GET', '/v1/nothing'),
      await gateway.call('GET', '/v1//tunnels'),
      await gateway.call('POST', '/v1/tunnels', { headers: { 'content-type': 'application/grpc' } }),
      await gateway.call('GET', '/v1/tunnels/tun_1/connect', { headers: agent }),
    ]
    gateway.tunnels.reply = () => failure({ code: 14, headers: { 'cache-control': 'public' } })
    answers.push(await gateway.call('GET', '/v1/tunnels'))
    gateway.auth.check.decide = () => ({ admit: false, http: 401, body: '{}' })
    answers.push(await gateway.call('GET', '/v1/tunnels'))
    answers.push(await gateway.call('GET', '/v1/tunnels/tun_1/connect', { headers: agent }))
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 404, 400, 415, 409, 503, 401, 401])
    for (const { headers } of answers) expect(headers).toMatchObject(private_)
  })
})

describe('the client’s address', () => {
  const addressAt = async (hops: number, headers: Record<string, string>) => {
    const there = await startGateway({ trustedHops: hops })
    try {
      await there.call('GET', '/v1/tunnels', { headers })
      return there.auth.check.asked[0]?.attributes?.request?.http?.headers['x-envoy-external-address']
    } finally {
      await there.stop()
    }
  }
  // From left to right: what the client wrote, what each proxy of ours appended.
  const forwarded = { 'x-forwarded-for': '6.6.6.6, 7.7.7.7, 2001:db8::1, 8.8.8.8' }

  it('is the connection’s where no proxy is ours', async () => {
    expect(await addressAt(0, forwarded)).toBe('127.0.0.1')
    expect(await addressAt(0, { 'x-envoy-external-address': '6.6.6.6', 'x-real-ip': '6.6.6.6' })).toBe(
      '127.0.0.1',
    )
  })

  it('is counted from the right past ours', async () => {
    expect(await addressAt(1, forwarded)).toBe('8.8.8.8')
    expect(await addressAt(2, forwarded)).toBe('2001:db8::1')
  })

  it('is read where entries have ports, brackets or quotes', async () => {
    const there = await startGateway({ trustedHops: 2 })
    const addressOf = async (entries: string) => {
      await there.call('GET', '/v1/tunnels', { headers: { 'x-forwarded-for': entries } })
      return there.auth.check.asked.at(-1)?.attributes?.request?.http?.headers['x-envoy-external-address']
    }
    try {
      for (const [entries, address] of [
        ['6.6.6.6:1, 192.0.2.7:5678, 10.0.0.1:80', '192.0.2.7'],
        ['6.6.6.6, 192.0.2.7, 10.0.0.1:80', '192.0.2.7'],
        ['6.6.6.6,192.0.2.7:5678,10.0.0.1', '192.0.2.7'],
        ['6.6.6.6, [2001:db8::1]:443, 10.0.0.1:80', '2001:db8::1'],
        ['6.6.6.6, [2001:db8::1], [2001:db8::2]', '2001:db8::1'],
        ['6.6.6.6, "[2001:db8::1]:443", "10.0.0.1:80"', '2001:db8::1'],
        ['6.6.6.6, "192.0.2.7", unknown', '192.0.2.7'],
        ['6.6.6.6:1, 2001:db8::1, 10.0.0.1', '2001:db8::1'],
        ['192.0.2.7:1, 10.0.0.1:80', '192.0.2.7'],
        // Bytes that are no UTF-8, which the client may write, hide nothing: its address would be the proxy's own.
        ['\xff:., 192.0.2.7:5678, 10.0.0.1:80', '192.0.2.7'],
        ['\xff, 192.0.2.7, 10.0.0.1', '192.0.2.7'],
        [`${'\xff'.repeat(900)}:., 192.0.2.7, 10.0.0.1`, '192.0.2.7'],
        [`${'\xff'.repeat(9000)}:., 192.0.2.7, 10.0.0.1`, '0.0.0.0'],
        // What is no address is none, and neither is what the client wrote before it.
        ['6.6.6.6, 192.0.2.7:5678x, 10.0.0.1:80', '127.0.0.1'],
        ['6.6.6.6, 999.0.0.1:80, 10.0.0.1:80', '127.0.0.1'],
        ['6.6.6.6, 192.0.2.7:80:80, 10.0.0.1:80', '127.0.0.1'],
        ['6.6.6.6, [2001:db8::1, 10.0.0.1:80', '127.0.0.1'],
        ['6.6.6.6:1', '127.0.0.1'],
        [`${'6.6.6.6:1, '.repeat(2500)}192.0.2.7:1, 10.0.0.1:80`, '0.0.0.0'],
      ] as const) {
        expect(await addressOf(entries), entries.slice(-60)).toBe(address)
      }
    } finally {
      await there.stop()
    }
  })

  it('is the same where a client waits for 100', async () => {
    const waiting = { expect: '100-continue', 'content-length': '0' }
    expect(await addressAt(0, { ...waiting, 'x-forwarded-for': '6.6.6.6' })).toBe('127.0.0.1')
    expect(await addressAt(2, { ...waiting, ...forwarded })).toBe('2001:db8::1')
  })

  it('is the connection’s where fewer proxies have appended than are ours', async () => {
    expect(await addressAt(1, {})).toBe('127.0.0.1')
    expect(await addressAt(2, { 'x-forwarded-for': '6.6.6.6' })).toBe('127.0.0.1')
    expect(await addressAt(1, { 'x-forwarded-for': 'nonsense' })).toBe('127.0.0.1')
  })
})

describe('what a relay hears of a visitor', () => {
  const heard = async (hops: number, headers: Record<string, string>) => {
    const there = await startGateway({ trustedHops: hops })
    try {
      await there.call('GET', '/', { host: 'docs.tunnels.test', headers })
      const { headers: flat = [] } = there.relay.heard[0] ?? {}
      const named = (name: string) => flat[flat.indexOf(name) + 1]
      return [named('x-envoy-external-address'), named('x-real-ip'), named('x-forwarded-proto')]
    } finally {
      await there.stop()
    }
  }
  const said = {
    'x-forwarded-for': '6.6.6.6, 7.7.7.7',
    'x-real-ip': '6.6.6.6',
    'x-forwarded-proto': 'https',
  }

  it('is the connection where no proxy is ours', async () => {
    expect(await heard(0, said)).toEqual(['127.0.0.1', '127.0.0.1', 'http'])
    expect(await heard(0, {})).toEqual(['127.0.0.1', '127.0.0.1', 'http'])
  })

  it('is what a proxy of ours says of it', async () => {
    expect(await heard(1, said)).toEqual(['7.7.7.7', '7.7.7.7', 'https'])
    expect(await heard(1, {})).toEqual(['127.0.0.1', '127.0.0.1', 'http'])
  })
})
