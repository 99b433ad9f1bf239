import { once } from 'node:events'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { authorizer } from './test/authorizer.ts'
import { type Backend, startBackend } from './test/backend.ts'
import { answers, expectAnswer } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'
import { sendRaw } from './test/raw-http.ts'

let stopping: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await Promise.all(stopping.map((stop) => stop()))
  stopping = []
})

async function gatewayWith(...options: Parameters<typeof startGateway>): Promise<TestGateway> {
  const gateway = await startGateway(...options)
  stopping.push(gateway.stop)
  return gateway
}

async function backendOn(port = 0): Promise<Backend> {
  const backend = await startBackend(port)
  stopping.push(backend.stop)
  return backend
}

const list = (gateway: TestGateway) => gateway.call('GET', '/v1/tunnels')
const health = (gateway: TestGateway) => gateway.call('GET', '/healthz')
const healthy = [200, '{"status":"serving"}'] as const
const portOf = (backend: Backend) => Number(backend.address.split(':')[1])
const never = new Promise<never>(() => {})
const nobody = ['127.0.0.1:1']

/** Health checks ten times as often, so that a test need not wait for them. */
const quickly = { edit: (_file: string, text: string) => text.replaceAll('interval: 1s', 'interval: 0.1s') }

/** Replaces a setting in the files. */
const withSetting = (from: string, to: string) => ({
  edit: (_file: string, text: string) => text.replaceAll(from, to),
})

/** Calls until the status is this one; the longest wait is vitest's own. */
async function until(status: number, call: () => Promise<{ status: number }>): Promise<void> {
  while ((await call()).status !== status);
}

describe('GET /healthz', () => {
  it('is 200 while every service serves, whatever the host is called', async () => {
    const gateway = await gatewayWith()
    expectAnswer(await health(gateway), healthy)
    expectAnswer(await gateway.call('GET', '/healthz', { host: '10.1.2.3:8080' }), healthy)
  })

  for (const service of ['auth', 'keys', 'tunnels', 'relay'] as const) {
    it(`is 503 while ${service} does not serve, and 200 again once it does`, async () => {
      const gateway = await gatewayWith(quickly)
      gateway[service].serving(false)
      await until(503, () => health(gateway))
      expectAnswer(await health(gateway), answers.unavailable)
      gateway[service].serving(true)
      await until(200, () => health(gateway))
    })
  }

  it('is 503 where auth serves, and not where it is asked about calls', async () => {
    const gateway = await gatewayWith()
    await gateway.envoy.updateServices({ ...gateway.services, check: nobody })
    await until(503, () => health(gateway))
    await until(503, () => list(gateway))
    expectAnswer(await list(gateway), answers.unavailable)
  })

  it('is 503 before a service is there at all', async () => {
    const gateway = await gatewayWith({
      services: { auth: [], check: [], keys: nobody, tunnels: nobody, relay: nobody },
    })
    expectAnswer(await health(gateway), answers.unavailable)
    expectAnswer(await list(gateway), answers.unavailable)
  })
})

describe('a service that is away', () => {
  it('is 503, and recovers by itself', async () => {
    const gateway = await gatewayWith()
    expect((await list(gateway)).status).toBe(200)
    const port = portOf(gateway.tunnels)
    await gateway.tunnels.stop()
    expectAnswer(await list(gateway), answers.unavailable)
    expect((await gateway.call('GET', '/v1/auth/keys')).status).toBe(200)
    await until(503, () => health(gateway))
    expectAnswer(await list(gateway), answers.unavailable)

    await backendOn(port)
    await until(200, () => list(gateway))
    await until(200, () => health(gateway))
  })

  it('is 503 where it is auth, for every call, and recovers by itself', async () => {
    const gateway = await gatewayWith(quickly)
    const port = Number(gateway.services.check[0]?.split(':')[1])
    await gateway.auth.stop()
    for (let calls = 0; calls < 3; calls++) expectAnswer(await list(gateway), answers.unavailable)
    expect(gateway.tunnels.heard).toEqual([])
    await until(503, () => health(gateway))
    expectAnswer(await list(gateway), answers.unavailable)

    stopping.push((await startBackend(port, gateway.auth.check.addTo)).stop)
    await until(200, () => list(gateway))
  })

  it('is 503 where it ends with a call in flight, which is not made twice', async () => {
    const gateway = await gatewayWith()
    const other = await backendOn()
    await gateway.envoy.updateServices({
      ...gateway.services,
      tunnels: [gateway.tunnels.address, other.address],
    })
    const heard = () => [...gateway.tunnels.heard, ...other.heard].map(({ rpc }) => rpc.split('/').pop())
    const breakOff = (backend: Backend) => {
      backend.reply = async () => {
        backend.stop()
        return never
      }
    }
    breakOff(gateway.tunnels)
    breakOff(other)
    expectAnswer(await gateway.call('POST', '/v1/tunnels', { body: '{}' }), answers.unavailable)
    expect(heard()).toEqual(['CreateTunnel'])
  })

  it('is 503 where auth cannot decide', async () => {
    const gateway = await gatewayWith()
    const error = Object.assign(new Error('secret'), { code: 14, details: 'secret' })
    gateway.auth.check.decide = () => Promise.reject(error)
    expectAnswer(await list(gateway), answers.unavailable)
    expect(gateway.tunnels.heard).toEqual([])
  })

  it('is 503 in the words of auth where it has no room for a call', async () => {
    const gateway = await gatewayWith()
    const body = '{"error":"unavailable","message":"Too many","code":5003,"retry_after":1}'
    const headers = { 'content-type': 'application/json', 'retry-after': '1' }
    gateway.auth.check.decide = () => ({ admit: false, http: 503, headers, body })
    const answer = await list(gateway)
    expectAnswer(answer, [503, body])
    expect(answer.headers['retry-after']).toBe('1')
    expect(gateway.tunnels.heard).toEqual([])
  })

  it('is 503 where auth does not decide in time', async () => {
    const gateway = await gatewayWith(withSetting('timeout: 2s', 'timeout: 0.2s'))
    gateway.auth.check.decide = () => never
    expectAnswer(await list(gateway), answers.unavailable)
  })

  it('is 503 where more calls are in flight than the circuit takes', async () => {
    const gateway = await gatewayWith(withSetting('max_requests: 4096', 'max_requests: 1'))
    let answerFirst = (_: object) => {}
    gateway.tunnels.reply = () =>
      new Promise((resolve) => {
        answerFirst = resolve
      })
    const first = list(gateway)
    while (gateway.tunnels.heard.length === 0) await health(gateway)
    expectAnswer(await list(gateway), answers.full)
    answerFirst({})
    expect((await first).status).toBe(200)
  })

  it('is 503 where it breaks off or does not speak gRPC', async () => {
    const nonsense = [
      (stream: ServerHttp2Stream) => stream.close(8),
      (stream: ServerHttp2Stream) => stream.session?.destroy(),
    ]
    for (const answer of nonsense) {
      const server = createServer().on('stream', (stream, headers) => {
        if (headers[':path'] === '/grpc.health.v1.Health/Check') serving(stream)
        else answer(stream)
      })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      stopping.push(async () => server.close())
      const { port } = server.address() as AddressInfo
      const gateway = await gatewayWith()
      await gateway.envoy.updateServices({ ...gateway.services, tunnels: [`127.0.0.1:${port}`] })
      await until(503, () => list(gateway))
      expectAnswer(await list(gateway), answers.unavailable)
    }
  })
})

/** grpc.health.v1's SERVING. */
function serving(stream: ServerHttp2Stream): void {
  stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]))
}

describe('what takes too long', () => {
  it('is 504 where it is a service', async () => {
    const gateway = await gatewayWith(withSetting('timeout: 15s', 'timeout: 0.2s'))
    gateway.tunnels.reply = () => never
    expectAnswer(await list(gateway), answers.timeout)
    expect(gateway.tunnels.heard).toHaveLength(1)
  })

  it('is 408 where it is the client’s head', async () => {
    const gateway = await gatewayWith(
      withSetting('request_headers_timeout: 10s', 'request_headers_timeout: 0.2s'),
    )
    expectAnswer(
      await sendRaw(gateway.port, 'GET /v1/tunnels HTTP/1.1\r\nHost: api.test\r\n'),
      answers.unfinished,
    )
  })
})

describe('replicas', () => {
  it('share the calls, and one that dies costs no GET', async () => {
    const [one, two] = [await backendOn(), await backendOn()]
    const gateway = await gatewayWith()
    await gateway.envoy.updateServices({ ...gateway.services, tunnels: [one.address, two.address] })
    while (one.heard.length === 0 || two.heard.length === 0) expect((await list(gateway)).status).toBe(200)
    // It breaks off in the midst of a call.
    one.heard.length = 0
    one.reply = async () => {
      one.stop()
      return never
    }
    while (one.heard.length === 0) expect((await list(gateway)).status).toBe(200)
    for (let calls = 0; calls < 20; calls++) expect((await list(gateway)).status).toBe(200)
  })

  it('of auth are asked about calls in turn, and one that is gone costs no call', async () => {
    const gateway = await gatewayWith()
    const check = authorizer()
    const other = await startBackend(0, check.addTo)
    stopping.push(other.stop)
    await gateway.envoy.updateServices({
      ...gateway.services,
      check: [...gateway.services.check, other.address],
    })
    while (gateway.auth.check.asked.length === 0 || check.asked.length === 0) await list(gateway)

    await other.stop()
    const connections = `${other.address}::cx_active::`
    while (!(await gateway.envoy.admin('/clusters')).includes(`${connections}0`));
    for (let calls = 0; calls < 20; calls++) expect((await list(gateway)).status).toBe(200)
    expect(await gateway.envoy.admin('/stats?filter=cluster.check.upstream_rq_retry_success')).not.toContain(
      ': 0',
    )
  })

  it('come and go without a restart, and cut nothing that is in flight', async () => {
    const gateway = await gatewayWith()
    let answerFirst = (_: object) => {}
    gateway.tunnels.reply = () =>
      new Promise((resolve) => {
        answerFirst = resolve
      })
    const first = list(gateway)
    while (gateway.tunnels.heard.length === 0) await health(gateway)

    const other = await backendOn()
    await gateway.envoy.updateServices({ ...gateway.services, tunnels: [other.address] })
    while (!(await gateway.envoy.admin('/clusters')).includes(other.address)) await health(gateway)
    expect((await list(gateway)).status).toBe(200)
    expect(other.heard).toHaveLength(1)
    answerFirst({ nextPageToken: 'late' })
    expect((await first).body).toBe('{"tunnels":[],"next_page_token":"late"}')
  })
})

describe('Envoy itself', () => {
  it('may run twice on one machine', async () => {
    const [one, two] = await Promise.all([gatewayWith(), gatewayWith()])
    expect(one.port).not.toBe(two.port)
    expectAnswer(await health(one), healthy)
    expectAnswer(await health(two), healthy)
  })

  it('ends when it is asked to', async () => {
    const gateway = await gatewayWith()
    expect(await gateway.envoy.stop()).toEqual({ code: 0, signal: null })
    await expect(health(gateway)).rejects.toThrow('ECONNREFUSED')
  })

  for (const setting of [
    'name: nobody',
    'stat_prefix: api',
    'lb_policy: ',
    'per_connection',
    'overload_manager:',
  ]) {
    it(`says what is wrong with its files, as with ${setting}`, async () => {
      const spoiled = withSetting(setting, `nonsense_${setting}`)
      await expect(gatewayWith(spoiled)).rejects.toThrow(/does not start:\n.*nonsense/s)
    })
  }

  it('keeps its admin interface to its own folder', async () => {
    const gateway = await gatewayWith()
    expect(await gateway.envoy.admin('/ready')).toBe('LIVE\n')
    expect(await gateway.envoy.admin('/server_info')).toContain('"admin_address_path": ""')
  })
})
