import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type ClientHttp2Session, constants } from 'node:http2'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Envoy, type EnvoyOptions, startEnvoy } from '@instatunnel/local/envoy'
import { AuthorizationService, CheckRequest } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { type CertificateFiles, makeAuthority } from '@instatunnel/test/certificates'
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { beginCall, callWith, http2Connection } from '../test/grpc-call.ts'
import { frame } from '../test/http2-frames.ts'
import { connected, echo, hello, serving, waiting, works } from '../test/serve-rpc.ts'
import type { FramedUnary } from './check-call.ts'
import { denied } from './domain/check-response.ts'
import { framed } from './domain/grpc-frame.ts'
import { PREFACE } from './http2/protocol.ts'
import { healthCheck } from './rpc/health-check.ts'

/** What a peer gets that says this, until the server ends the connection. */
const say = (port: number, bytes: Uint8Array | string) =>
  new Promise<Buffer>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    const pieces: Buffer[] = []
    socket.on('data', (piece) => pieces.push(piece))
    socket.on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(pieces)))
  })

/** Pings as Envoy does, until the connection is gone. */
function pinging(session: ClientHttp2Session) {
  const timer = setInterval(() => session.destroyed || session.ping(() => {}), 50)
  session.on('close', () => clearInterval(timer))
}

/** A way to a port that lets through what comes from there, and what goes there once it is let. */
async function holding(port: number, released: Promise<void>) {
  const begun = Promise.withResolvers<void>()
  const way = createServer((near) => {
    const far = connect(port, '127.0.0.1', begun.resolve)
    far.pipe(near)
    void released.then(() => near.pipe(far))
    for (const side of [near, far]) side.on('error', () => {})
  })
  await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void way.close())
  return { port: (way.address() as AddressInfo).port, begun: begun.promise }
}

describe('a peer', () => {
  const begun = Buffer.concat([PREFACE, frame(4, 0, 0)])

  it.each([
    ['speaks HTTP/1.1', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['speaks anything', Buffer.alloc(100, 200)],
    ['sends a message before it asks', Buffer.concat([begun, frame(0, 0, 1, hello)])],
    ['writes headers that are none', Buffer.concat([begun, frame(1, 5, 1, Buffer.alloc(20, 255))])],
    ['sends frames that are too long', Buffer.concat([begun, frame(0, 0, 1, Buffer.alloc(20_000))])],
    [
      'sets settings that there are not',
      Buffer.concat([begun, frame(4, 0, 0, Buffer.from([0, 4, 255, 255, 255, 255]))]),
    ],
    [
      'gives more credit than there is',
      Buffer.concat([begun, frame(8, 0, 0, Buffer.from([127, 255, 255, 255]))]),
    ],
  ])('that %s loses its connection, and nobody else', async (_, bytes) => {
    const server = await serving()
    const session = await connected(server)
    await say(server.port, bytes)
    await works(session)
  })

  it('that sends headers without end loses the call', async () => {
    const session = await connected(await serving(), { maxSendHeaderBlockLength: 1_000_000 })
    const headers = Object.fromEntries(
      Array.from({ length: 20 }, (_, index) => [`x-${index}`, 'x'.repeat(1000)]),
    )
    const answer = await callWith(session, hello, headers)
    expect(answer).toMatchObject({ head: {}, reset: constants.NGHTTP2_ENHANCE_YOUR_CALM })
    await works(session)
  })

  it('that says nothing is sent away; one that pings is not', async () => {
    const server = await serving(echo, { idleMs: 1000 })
    const session = await connected(server)
    pinging(session)
    await Promise.all([
      say(server.port, ''),
      say(server.port, begun),
      say(server.port, PREFACE.subarray(0, 10)),
    ])
    await works(session)
  })

  it('has a thousand calls at a time, and waits with more', async () => {
    const { rpc, signals, begun: calls } = waiting()
    const session = await connected(await serving(rpc, { drainMs: 0 }))
    expect(session.remoteSettings.maxConcurrentStreams).toBe(1000)
    for (let count = 0; count < 1100; count++) beginCall(session).end(hello)
    await calls(1000)
    expect(signals).toHaveLength(1000)
  })
})

describe('close', () => {
  it('lets calls in flight finish, takes no new ones, and says so', async () => {
    const { rpc, answers, begun } = waiting()
    const server = await serving(rpc)
    const session = await connected(server)
    const call = callWith(session, hello)
    await begun(1)
    const goaway = new Promise<number>((resolve) => session.on('goaway', resolve))
    const closed = server.close()
    expect(await goaway).toBe(constants.NGHTTP2_NO_ERROR)
    await expect(http2Connection(server.port)).rejects.toThrow('ECONNREFUSED')
    answers[0]?.()
    expect(await call).toMatchObject({ body: hello, trailers: { 'grpc-status': '0' } })
    await closed
  })

  it('ends what does not finish, and what says nothing', async () => {
    const { rpc, signals, begun } = waiting()
    const server = await serving(rpc, { drainMs: 50 })
    const session = await connected(server)
    beginCall(session).end(hello)
    await begun(1)
    const silent = connect(server.port, '127.0.0.1')
    await new Promise((resolve) => silent.once('data', resolve))
    await server.close()
    expect(signals[0]?.aborted).toBe(true)
  })
})

describe('with TLS', async () => {
  const [ours, theirs] = await Promise.all([makeAuthority(), makeAuthority()])
  afterAll(() => Promise.all([ours.remove(), theirs.remove()]))
  const files = ({ certFile, keyFile }: CertificateFiles) => ({
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
  })
  const ca = readFileSync(ours.caFile)
  const tls = { ...files(await ours.sign('auth', 'DNS:auth')), ca }
  const asked: string[] = []
  const hearing: FramedUnary = (message) => {
    asked.push(message.toString())
    return framed(message)
  }
  const as = async (signed: Promise<CertificateFiles>) => ({
    tls: { ca, servername: 'auth', ...files(await signed) },
  })

  it('answers the gateway', async () => {
    const server = await serving(hearing, { tls })
    await works(await connected(server, await as(ours.sign('gateway', 'DNS:gateway'))))
    await works(await connected(server, await as(ours.sign('gateway', 'DNS:gateway.instatunnel.svc'))))
    expect(asked.splice(0)).toEqual(['hello', 'hello'])
  })

  it('keeps the gateway for as long as it says something', async () => {
    const server = await serving(hearing, { tls, idleMs: 500 })
    const session = await connected(server, await as(ours.sign('gateway', 'DNS:gateway')))
    pinging(session)
    for (let closed = 0; closed < 3; closed++) await say(server.port, '')
    await works(session)
    asked.splice(0)
  })

  it('sends one away whose handshake ends once it closes', async () => {
    const server = await serving(hearing, { tls })
    const gateway = await as(ours.sign('gateway', 'DNS:gateway'))
    const release = Promise.withResolvers<void>()
    const held = await holding(server.port, release.promise)
    const late = http2Connection(held.port, gateway)
    await held.begun
    // Whoever came later is heard: so is whoever came before.
    await works(await connected(server, gateway))
    const closed = server.close()
    release.resolve()
    await expect(late).rejects.toThrow()
    await closed
    asked.splice(0)
  })

  it.each([
    ['another service', () => as(ours.sign('keys', 'DNS:keys'))],
    ['auth itself', () => as(ours.sign('auth2', 'DNS:auth'))],
    ['a name that only begins so', () => as(ours.sign('like', 'DNS:gateway-evil'))],
    ['a name that only ends so', () => as(ours.sign('like2', 'DNS:evil.gateway'))],
    ['the name where none counts', () => as(ours.sign('like3', 'URI:gateway', 'gateway'))],
    ['somebody else’s gateway', () => as(theirs.sign('gateway', 'DNS:gateway'))],
    ['nobody', async () => ({ tls: { ca, servername: 'auth' } })],
    ['a caller in clear', async () => ({})],
  ])('hears nothing of %s', async (_, who) => {
    const server = await serving(hearing, { tls, idleMs: 500 })
    const outcome = await http2Connection(server.port, await who()).then(
      async (session) => (await callWith(session, hello)).head[':status'],
      () => undefined,
    )
    expect(outcome).toBeUndefined()
    expect(asked).toEqual([])
    await works(await connected(server, await as(ours.sign('gateway', 'DNS:gateway'))))
    asked.splice(0)
  })

  it('is spoken by Envoy, which shows who it is and sees whom it asks', async () => {
    const refusing: FramedUnary = () => refusal
    const { envoy } = await throughEnvoy(
      refusing,
      { tls },
      { tls: await ours.sign('gateway', 'DNS:gateway') },
    )
    const answer = await fetch(`http://localhost:${envoy.port}/v1/tunnels`)
    expect([answer.status, answer.headers.get('x-said'), await answer.text()]).toEqual([401, 'by auth', '{}'])
  })
})

const refusal = denied({ code: 16, message: 'no', status: 401, headers: { 'x-said': 'by auth' }, body: '{}' })

/** A server that Envoy asks about calls, until the test is over. */
async function throughEnvoy(
  check: FramedUnary,
  options: Parameters<typeof serving>[1] = {},
  more: Partial<EnvoyOptions> = {},
): Promise<{ envoy: Envoy }> {
  const runDir = await mkdtemp(join(tmpdir(), 'instatunnel-envoy-'))
  const rpcs = new Map([
    [AuthorizationService.check.path, check],
    ['/grpc.health.v1.Health/Check', healthCheck(() => true)],
  ])
  const server = await serving(check, { ...options, rpcs })
  const envoy = await startEnvoy({
    runDir,
    port: 0,
    services: { auth: [], check: [`127.0.0.1:${server.port}`], keys: [], tunnels: [], relay: [] },
    apiHosts: ['localhost'],
    visitorDomain: 'test',
    trustedHops: 0,
    connectionsPerAddress: 0,
    ...more,
  })
  onTestFinished(async () => {
    await envoy.kill()
    await rm(runDir, { recursive: true })
  })
  return { envoy }
}

describe('clients of Envoy', () => {
  it('that go while something is looked up for them keep no other out', { timeout: 60_000 }, async () => {
    const { promise: found, resolve: find } = Promise.withResolvers<void>()
    let lookedUp = 0
    const { envoy } = await throughEnvoy(
      (message) => {
        const { attributes } = CheckRequest.decode(message)
        if (attributes?.request?.http?.headers.authorization === undefined) return refusal
        lookedUp++
        return found.then(() => refusal)
      },
      {},
      { concurrency: 1 },
    )
    const goOnceAsked = async (clients: number) => {
      const due = lookedUp + clients
      const sockets = Array.from({ length: clients }, () => connect(envoy.port, '127.0.0.1'))
      for (const socket of sockets) {
        socket.on('error', () => {})
        socket.write(
          'GET /v1/tunnels HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer of-a-stranger\r\n\r\n',
        )
      }
      await vi.waitFor(() => expect(lookedUp).toBe(due), 20_000)
      for (const socket of sockets) socket.destroy()
    }
    for (let gone = 0; gone < 2000; gone += 250) {
      await goOnceAsked(250)
      expect((await fetch(`http://localhost:${envoy.port}/v1/tunnels`)).status).toBe(401)
    }
    find()
    // Nothing of that was held against Envoy: it has the connection that it began with.
    expect(await envoy.admin('/stats?filter=cluster.check.upstream_cx_total')).toContain(': 1\n')
  })
})
