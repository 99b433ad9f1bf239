import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answers, errorBody, expectAnswer, fieldBody } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'
import { switching } from './test/relay.ts'
import { next, told, visit } from './test/visit.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  gateway.relay.heard.length = 0
  gateway.relay.answer = (_, response) => response.end()
  gateway.relay.upgrade = (_, socket) => {
    socket.write(switching('instatunnel', 'Instatunnel-Connection: conn_1'))
    socket.pipe(socket)
  }
  gateway.auth.check.asked.length = 0
  gateway.auth.check.decide = () => ({
    admit: true,
    headers: { 'x-instatunnel-connect': 'a token for the relay' },
    remove: [],
  })
})

const path = '/v1/tunnels/tun_1/connect'
const agent = {
  host: 'api.test',
  authorization: 'Bearer it_0123456789abcdef',
  cookie: 'session=x',
  'x-instatunnel-connect': 'forged',
  'x-forwarded-for': '6.6.6.6',
  'instatunnel-agent': 'agent',
}
const asking = { connection: 'Upgrade', upgrade: 'instatunnel' }

/** An agent's request, the way it asks for its connection. */
const connect = (target = path, headers: Record<string, string> = {}) =>
  visit(gateway.port, target, { headers: { ...agent, ...asking, ...headers } }).end()

/** The answer to a request that may be told in words, as the other tests' answers. */
const call = (method: string, target: string, headers: Record<string, string> = {}) =>
  gateway.call(method, target, { headers: { ...agent, ...headers } })

const heardNothing = () => expect([gateway.relay.heard, gateway.auth.check.asked]).toEqual([[], []])

describe('an agent that connects', () => {
  it('has a relay behind the gateway, and both speak as they like', async () => {
    const [answer, socket] = (await once(connect(), 'upgrade')) as [IncomingMessage, Socket]
    expect(answer).toMatchObject({ statusCode: 101, headers: { 'instatunnel-connection': 'conn_1' } })
    for (const said of ['\0\0\0\x01\xff', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(3)]) {
      socket.write(said, 'latin1')
      expect(await next(socket)).toBe(said)
    }
    socket.destroy()
  })

  it('ends where either side ends it', async () => {
    const opened = async () => {
      const held = Promise.withResolvers<Duplex>()
      gateway.relay.upgrade = (_, socket) => {
        socket.write(switching('instatunnel'))
        held.resolve(socket.resume())
      }
      const [, mine] = (await once(connect(), 'upgrade')) as [IncomingMessage, Socket]
      return { mine: mine.resume(), theirs: await held.promise }
    }
    const first = await opened()
    const heardByAgent = once(first.mine, 'end')
    first.theirs.destroy()
    await heardByAgent

    const second = await opened()
    const heardByRelay = once(second.theirs, 'end')
    second.mine.destroy()
    await heardByRelay
  })

  it('is auth’s to admit, who is asked by path and query and told what it is about', async () => {
    const [, socket] = (await once(connect(`${path}?mode=mcp`), 'upgrade')) as [IncomingMessage, Socket]
    socket.destroy()
    expect(gateway.auth.check.asked).toHaveLength(1)
    const [{ attributes } = {}] = gateway.auth.check.asked
    expect(attributes?.contextExtensions).toEqual({ access: 'connect' })
    expect(attributes?.request?.http).toMatchObject({ method: 'GET', path: `${path}?mode=mcp` })
    expect(attributes?.request?.http?.headers).toEqual({
      authorization: agent.authorization,
      cookie: agent.cookie,
      'x-envoy-external-address': '127.0.0.1',
    })
  })

  it('comes to the relay with auth’s word in place of its credential', async () => {
    const [, socket] = (await once(connect(`${path}?mode=mcp`), 'upgrade')) as [IncomingMessage, Socket]
    socket.destroy()
    const [{ method, target, headers = [] } = {}] = gateway.relay.heard
    expect([method, target]).toEqual(['GET', `${path}?mode=mcp`])
    expect(headers).toEqual([
      ...[
        'host',
        'api.test',
        'instatunnel-agent',
        'agent',
        'connection',
        'Upgrade',
        'upgrade',
        'instatunnel',
      ],
      ...['x-envoy-external-address', '127.0.0.1', 'x-request-id', expect.stringMatching(/^[0-9a-f-]{36}$/)],
      ...['x-instatunnel-connect', 'a token for the relay'],
    ])
  })

  it('hears auth’s refusal', async () => {
    const body = errorBody('plan_limit', 4013, 'The plan allows 3 tunnels.')
    gateway.auth.check.decide = () => ({ admit: false, http: 403, body, headers: { 'retry-after': '7' } })
    const answer = await told(connect())
    expect(answer).toMatchObject({ status: 403, body })
    expect(answer.headers).toEqual(expect.arrayContaining(['retry-after', '7']))
    expect(gateway.relay.heard).toEqual([])
  })

  it('hears the relay’s refusal as it is', async () => {
    for (const status of [400, 401, 404, 409, 426, 429, 500, 502, 503, 504]) {
      const body = `{"error":"its","code":${status}}`
      gateway.relay.upgrade = (_, socket) => {
        const headers = `Content-Type: application/json\r\nRetry-After: 3\r\nContent-Length: ${body.length}`
        socket.end(`HTTP/1.1 ${status} No\r\n${headers}\r\n\r\n${body}`)
      }
      const answer = await told(connect())
      expect(answer).toMatchObject({ status, body })
      expect(answer.headers).toEqual(expect.arrayContaining(['content-type', 'retry-after', '3']))
      expect(answer.headers.filter((name) => /^x-envoy|^x-instatunnel/.test(name))).toEqual([])
    }
  })

  it('hears 503 in the API’s own shape where no relay is there', async () => {
    const alone = await startGateway({
      services: { ...gateway.services, keys: [], tunnels: [], relay: ['127.0.0.1:1'] },
    })
    try {
      expectAnswer(await alone.call('GET', path, { headers: asking }), answers.unavailable)
    } finally {
      await alone.stop()
    }
  })
})

describe('without an upgrade', () => {
  it('the relay answers all the same', async () => {
    const body = errorBody('validation_error', 4000, 'Upgrade: must be instatunnel')
    gateway.relay.answer = (_, response) => response.writeHead(426, { upgrade: 'instatunnel' }).end(body)
    expect(await call('GET', path)).toMatchObject({ status: 426, body })
    expect(gateway.auth.check.asked).toHaveLength(1)
    expect(gateway.relay.heard).toMatchObject([{ method: 'GET', target: path }])
  })

  it('a body is none of the gateway’s business, and nothing waits for it', async () => {
    const head = { ...agent, 'content-length': '5000000', 'content-type': 'text/plain' }
    const asked = visit(gateway.port, path, { headers: head })
    asked.flushHeaders()
    expect(await told(asked)).toMatchObject({ status: 200 })
    asked.destroy()
  })
})

describe('nothing else is a connection', () => {
  it('no other upgrade', async () => {
    expect(await told(connect(path, { upgrade: 'websocket' }))).toMatchObject({ status: 403 })
    heardNothing()
  })

  it('no upgrade elsewhere', async () => {
    for (const target of ['/', '/v1/tunnels', '/v1/tunnels/tun_1', `${path}/`, `${path}/x`])
      expect(await told(connect(target))).toMatchObject({ status: 403 })
    heardNothing()
  })

  it('no other method', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expectAnswer(await call(method, path), answers.noSuchPath)
    expect(gateway.relay.heard).toEqual([])
    const asked = gateway.auth.check.asked.map(({ attributes }) => attributes?.contextExtensions.access)
    expect(asked).toEqual(Array(4).fill(undefined))
  })

  it('no odd path', async () => {
    const message = 'must not hold empty or dot segments, backslashes or encoded separators'
    for (const odd of ['/v1/tunnels/../connect', '/v1/tunnels/a%2fb/connect', '/v1/tunnels//connect']) {
      expectAnswer(await call('GET', odd), [400, fieldBody('path', message)])
      expect(await told(connect(odd))).toMatchObject({ status: 403 })
    }
    heardNothing()
  })
})
