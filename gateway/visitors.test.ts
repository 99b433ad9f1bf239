import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answers, expectAnswer } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'
import { sendRaw } from './test/raw-http.ts'
import { next, site, told, visit, visitHttp2 } from './test/visit.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  gateway.relay.heard.length = 0
  gateway.relay.answer = (_, response) => response.end()
  gateway.auth.check.asked.length = 0
})

const call = (method: string, path: string, headers: Record<string, string> = {}) =>
  gateway.call(method, path, { host: site, headers })

describe('a visitor’s request', () => {
  const paths = [
    '/',
    '//',
    '//a///b//',
    '/a/./b/../../..',
    '/%2e%2e/%2E/a%2Fb%2f%5C%00%zz',
    '/a;b=1;c|d"<>^`{}~\\e[f]',
    '/?',
    '/a?b=//../%2f&c;d|e=?&f=/./',
    '/healthz',
    '/v1/auth/user',
    '/v1/tunnels/tun_1/connect',
    '/instatunnel.auth.v1.AuthService/GetUser',
    `/${'a'.repeat(20_000)}`,
  ]
  for (const path of paths) {
    it(`has its path as it is written: ${path.slice(0, 50)}`, async () => {
      expect((await call('GET', path)).status).toBe(200)
      expect(gateway.relay.heard.map(({ target }) => target)).toEqual([path])
      expect(gateway.auth.check.asked).toEqual([])
    })
  }

  it('has its method', async () => {
    const methods = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'PURGE']
    for (const method of methods) expect((await call(method, '/')).status).toBe(200)
    expect(gateway.relay.heard.map(({ method }) => method)).toEqual(methods)
  })

  it('has all of its headers, and who asks', async () => {
    const head = [
      ...['GET / HTTP/1.1', 'Host: Docs.tunnels.test:8080', 'Connection: close'],
      ...['X-A: 1', 'X-A: 2', 'x-a: 1', 'X_Under: 1', 'x-request-id: theirs', 'grpc-timeout: 1n'],
      ...['Authorization: Basic x', 'Cookie: a=1', 'Cookie: b=2', 'TE: trailers', 'X-Empty:'],
      ...['X-Real-IP: 6.6.6.6', 'x-real-ip: 7.7.7.7', 'Forwarded: for=6.6.6.6'],
    ]
    await sendRaw(gateway.port, `${head.join('\r\n')}\r\n\r\n`)
    expect(gateway.relay.heard[0]?.headers).toEqual([
      ...['host', 'Docs.tunnels.test:8080'],
      ...['x-a', '1', 'x-a', '2', 'x-a', '1', 'x_under', '1', 'x-request-id', 'theirs', 'grpc-timeout', '1n'],
      ...['authorization', 'Basic x', 'cookie', 'a=1', 'cookie', 'b=2', 'te', 'trailers', 'x-empty', ''],
      ...['x-forwarded-for', expect.any(String), 'x-forwarded-proto', 'http'],
      ...['x-envoy-external-address', '127.0.0.1', 'x-real-ip', '127.0.0.1'],
    ])
  })

  it('has nothing that only we may say', async () => {
    await call('GET', '/', {
      'X-InstaTunnel-Connect': 'forged',
      'x-instatunnel-health': 'forged',
      'x-instatunnel-identity': 'forged',
      'x-envoy-external-address': 'forged',
      'x-envoy-original-path': 'forged',
      'x-envoy-retry-on': 'forged',
      'x-envoy-upstream-rq-timeout-ms': '1',
      'x-forwarded-proto': 'forged',
    })
    const { headers = [] } = gateway.relay.heard[0] ?? {}
    expect(headers.filter((text) => /^x-instatunnel-|^x-envoy-|forged/.test(text))).toEqual([
      'x-envoy-external-address',
    ])
  })

  it('may have hundreds of headers', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`x-${n}`, '1']))
    expect((await call('GET', '/', many)).status).toBe(200)
    expectAnswer(await call('GET', '/', { x: 'a'.repeat(33_000) }), answers.headersTooLarge)
  })

  it('may have a body of any size, with its length', async () => {
    const arrival = gateway.relay.arrival()
    const asked = visit(gateway.port, '/', { method: 'PUT', headers: { 'content-length': '5000000' } })
    const answer = told(asked.end(Buffer.alloc(5_000_000)))
    const { request, response } = await arrival
    expect(Buffer.concat(await request.toArray())).toHaveLength(5_000_000)
    expect(request.headers).toMatchObject({ 'content-length': '5000000' })
    expect(request.headers).not.toHaveProperty('transfer-encoding')
    response.end()
    expect(await answer).toMatchObject({ status: 200 })
  })

  const trailers = { 'x-checksum': '9', x_t: '2' }
  const uploads = {
    'HTTP/1.1': () => {
      const asked = visit(gateway.port, '/', { method: 'POST', headers: { trailer: 'x-checksum' } })
      asked.addTrailers(trailers)
      return asked
    },
    'HTTP/2': () => {
      const options = { endStream: false, waitForTrailers: true }
      const asked = visitHttp2(gateway.port, { ':method': 'POST' }, options)
      return asked.on('wantTrailers', () => asked.sendTrailers(trailers))
    },
  }
  for (const [protocol, upload] of Object.entries(uploads)) {
    it(`may have a body without a length, which arrives as it is written: ${protocol}`, async () => {
      const arrival = gateway.relay.arrival()
      const asked = upload()
      asked.write('first')
      const { request, response } = await arrival
      expect(await next(request)).toBe('first')
      asked.write('second')
      expect(await next(request)).toBe('second')
      asked.end()
      await once(request, 'end')
      expect(request.trailers).toEqual(trailers)
      response.end()
      await once(asked, 'response')
      asked.destroy()
    })
  }

  it('waits for the relay where it asks whether its body is wanted', async () => {
    const ask = () => {
      const headers = { expect: '100-continue', 'content-length': '4' }
      const arrival = gateway.relay.arrival()
      const asked = visit(gateway.port, '/', { method: 'POST', headers })
      asked.flushHeaders()
      return { arrival, asked, answer: told(asked) }
    }
    const wanted = ask()
    const { request, response } = await wanted.arrival
    response.writeContinue()
    await once(wanted.asked, 'continue')
    wanted.asked.end('body')
    expect(await next(request)).toBe('body')
    response.end()
    expect(await wanted.answer).toMatchObject({ status: 200, interim: [{ status: 100 }] })

    const refused = ask()
    const arrived = await refused.arrival
    arrived.response.writeHead(417).end()
    expect(await refused.answer).toMatchObject({ status: 417, interim: [] })
    refused.asked.destroy()
  })
})

describe('a visitor’s host', () => {
  const hosts = [site, 'DOCS.Tunnels.test:8080', 'a.b.tunnels.test', 'under_score.tunnels.test']
  for (const host of hosts) {
    it(`goes to a relay as it is written: ${host}`, async () => {
      expect((await gateway.call('GET', '/', { host })).status).toBe(200)
      expect(gateway.relay.heard[0]?.headers.slice(0, 2)).toEqual(['host', host])
    })
  }

  const none = [
    'user@docs.tunnels.test',
    'docs.tunnels.test:80,other.tunnels.test',
    'a.test,docs.tunnels.test',
    'docs.tunnels.test\r\nhost: other.tunnels.test',
    'a/b.tunnels.test',
  ]
  for (const host of none) {
    it(`is refused where it is none: ${JSON.stringify(host)}`, async () => {
      expectAnswer(await gateway.call('GET', '/', { host }), answers.badHttp)
      expect(gateway.relay.heard).toEqual([])
    })
  }

  const nobodys = [
    'tunnels.test',
    '.tunnels.test',
    'docs.tunnels.test.',
    'docs.tunnels.test.x',
    'xtunnels.test',
  ]
  for (const host of nobodys) {
    it(`is nobody’s: ${host}`, async () => {
      expectAnswer(await gateway.call('GET', '/', { host }), answers.noSuchPath)
      expect(gateway.relay.heard).toEqual([])
    })
  }

  it('is the API’s where that has such a name', async () => {
    const named = await startGateway({ apiHosts: ['api.tunnels.test'] })
    try {
      expect((await named.call('GET', '/v1/tunnels', { host: 'api.tunnels.test:80' })).status).toBe(200)
      expect(named.relay.heard).toEqual([])
    } finally {
      await named.stop()
    }
  })

  it('is no proxy', async () => {
    const head = 'CONNECT docs.tunnels.test:80 HTTP/1.1\r\nHost: docs.tunnels.test:80\r\n\r\n'
    expectAnswer(await sendRaw(gateway.port, head), answers.forbidden)
  })
})
