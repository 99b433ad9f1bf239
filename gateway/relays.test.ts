import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { answers, expectAnswer } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'
import { type Relay, startRelay } from './test/relay.ts'
import { answered, next, site, told, visit } from './test/visit.ts'

async function gatewayWith(...options: Parameters<typeof startGateway>): Promise<TestGateway> {
  const gateway = await startGateway(...options)
  onTestFinished(gateway.stop)
  return gateway
}

/** A second relay beside the gateway's own. */
async function withAnother(gateway: TestGateway): Promise<Relay> {
  const another = await startRelay()
  onTestFinished(another.stop)
  await gateway.envoy.updateServices({
    ...gateway.services,
    relay: [gateway.relay.address, another.address],
  })
  while (another.heard.length === 0) await visited(gateway)
  return another
}

const visited = (gateway: TestGateway) => gateway.call('GET', '/', { host: site })
const agent = { host: 'api.test', connection: 'Upgrade', upgrade: 'instatunnel' }
const connect = (gateway: TestGateway) =>
  visit(gateway.port, '/v1/tunnels/tun_1/connect', { headers: agent }).end()

/** Health checks ten times as often, so that a test need not wait for them. */
const quickly = { edit: (_file: string, text: string) => text.replaceAll('interval: 1s', 'interval: 0.1s') }

/** Calls until the status is this one; the longest wait is vitest's own. */
async function until(status: number, call: () => Promise<{ status: number }>): Promise<void> {
  while ((await call()).status !== status);
}

describe('a relay that is away', () => {
  it('is 503 for its visitors, and recovers by itself', async () => {
    const gateway = await gatewayWith()
    const port = Number(gateway.relay.address.split(':')[1])
    await gateway.relay.stop()
    expectAnswer(await visited(gateway), answers.unavailable)
    expect((await gateway.call('GET', '/v1/tunnels')).status).toBe(200)
    const returned = await startRelay(port)
    onTestFinished(returned.stop)
    await until(200, () => visited(gateway))
  })

  it('costs visitors nothing where another is there', async () => {
    const gateway = await gatewayWith()
    await withAnother(gateway)
    await gateway.relay.stop()
    const body = 'x'.repeat(10_000)
    for (let calls = 0; calls < 10; calls++) {
      expect((await gateway.call('POST', '/', { host: site, body })).status).toBe(200)
    }
  })

  it('costs agents nothing where another is there', async () => {
    const gateway = await gatewayWith()
    await withAnother(gateway)
    await gateway.relay.stop()
    for (let agents = 0; agents < 4; agents++) {
      const [answer, socket] = (await once(connect(gateway), 'upgrade')) as [IncomingMessage, Socket]
      expect(answer.statusCode).toBe(101)
      socket.destroy()
    }
  })

  it('breaks off what it was at, which no other relay is asked again', async () => {
    const gateway = await gatewayWith()
    const another = await withAnother(gateway)
    another.heard.length = 0
    gateway.relay.heard.length = 0
    for (const relay of [gateway.relay, another]) relay.answer = (request) => void request.socket.destroy()
    expectAnswer(await visited(gateway), answers.unavailable)
    expect([...gateway.relay.heard, ...another.heard]).toHaveLength(1)
  })

  it('is heard of in the midst of an answer', async () => {
    const gateway = await gatewayWith()
    const arrival = gateway.relay.arrival()
    const asked = visit(gateway.port, '/').end()
    const { response } = await arrival
    response.write('a part')
    const answer = await answered(asked)
    expect(await next(answer)).toBe('a part')
    const broken = once(answer, 'error')
    response.destroy()
    await broken
  })
})

describe('a relay that drains', () => {
  it('is sent nothing new, and what it is at goes on', async () => {
    const gateway = await gatewayWith(quickly)
    const [, socket] = (await once(connect(gateway), 'upgrade')) as [IncomingMessage, Socket]
    const arrival = gateway.relay.arrival()
    const asked = visit(gateway.port, '/').end()
    const { response } = await arrival
    response.write('a part')
    const answer = await answered(asked)
    expect(await next(answer)).toBe('a part')

    gateway.relay.serving(false)
    const flags = `relay::${gateway.relay.address}::health_flags::/failed_active_hc`
    while (!(await gateway.envoy.admin('/clusters')).includes(flags));
    expectAnswer(await visited(gateway), answers.unavailable)
    const another = await withAnother(gateway)
    gateway.relay.heard.length = 0
    for (let calls = 0; calls < 10; calls++) expect((await visited(gateway)).status).toBe(200)
    expect(gateway.relay.heard).toEqual([])
    expect(another.heard.length).toBeGreaterThan(10)

    socket.write('still here')
    expect(await next(socket)).toBe('still here')
    response.write('the rest')
    expect(await next(answer)).toBe('the rest')
    socket.destroy()
    asked.destroy()
  })

  const draining = (relay: Relay) => {
    relay.upgrade = (_, socket) =>
      void socket.end('HTTP/1.1 503 No\r\nretry-after: 1\r\ncontent-length: 8\r\n\r\ndraining')
  }

  it('sends its agents to another', async () => {
    const gateway = await gatewayWith()
    const another = await withAnother(gateway)
    draining(gateway.relay)
    for (let agents = 0; agents < 4; agents++) {
      const [answer, socket] = (await once(connect(gateway), 'upgrade')) as [IncomingMessage, Socket]
      expect(answer.statusCode).toBe(101)
      socket.destroy()
    }
    draining(another)
    const refused = await told(connect(gateway))
    expect(refused).toMatchObject({ status: 503, body: 'draining' })
    expect(refused.headers).toEqual(expect.arrayContaining(['retry-after', '1']))
  })

  it('may say 503 to a visitor, who is not asked for twice', async () => {
    const gateway = await gatewayWith()
    const another = await withAnother(gateway)
    for (const relay of [gateway.relay, another]) {
      relay.heard.length = 0
      relay.answer = (_, response) => response.writeHead(503).end('too many at once')
    }
    expect(await visited(gateway)).toMatchObject({ status: 503, body: 'too many at once' })
    expect([...gateway.relay.heard, ...another.heard]).toHaveLength(1)
  })
})

describe('a site', () => {
  it('cannot say that its relay is to be sent nothing', async () => {
    const gateway = await gatewayWith()
    gateway.relay.answer = (_, response) =>
      response.writeHead(200, { 'x-envoy-immediate-health-check-fail': '1', 'x-envoy-degraded': '1' }).end()
    for (let calls = 0; calls < 3; calls++) expect(await visited(gateway)).toMatchObject({ status: 200 })
    expect((await gateway.call('GET', '/healthz')).status).toBe(200)
  })
})

describe('a tunnel', () => {
  it('may take longer than any call of the API, and stand still', async () => {
    const short = (text: string) =>
      text
        .replace('max_stream_duration: 45s', 'max_stream_duration: 0.2s')
        .replace('stream_idle_timeout: 60s', 'stream_idle_timeout: 0.2s')
        .replaceAll('timeout: 15s', 'timeout: 0.2s')
    const gateway = await gatewayWith({ edit: (_, text) => short(text) })
    const [, agentSocket] = (await once(connect(gateway), 'upgrade')) as [IncomingMessage, Socket]
    const asking = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'x' }
    const [, webSocket] = (await once(visit(gateway.port, '/', { headers: asking }).end(), 'upgrade')) as [
      IncomingMessage,
      Socket,
    ]
    const arrival = gateway.relay.arrival()
    const upload = visit(gateway.port, '/', { method: 'POST' })
    upload.write('a')
    const { request, response } = await arrival
    expect(await next(request)).toBe('a')

    gateway.tunnels.reply = () => new Promise(() => {})
    expectAnswer(await gateway.call('GET', '/v1/tunnels'), answers.timeout)

    for (const socket of [agentSocket, webSocket]) {
      socket.write('still here')
      expect(await next(socket)).toBe('still here')
      socket.destroy()
    }
    upload.end('b')
    expect(await next(request)).toBe('b')
    const answer = answered(upload)
    response.write('c')
    expect(await next(await answer)).toBe('c')
    expectAnswer(await gateway.call('GET', '/v1/tunnels'), answers.timeout)
    response.end('d')
    expect(await next(await answer)).toBe('d')
  })
})
