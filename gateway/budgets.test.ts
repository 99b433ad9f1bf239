import { once } from 'node:events'
import { type ClientHttp2Stream, constants } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { ListKeysResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { answers, expectAnswer } from './test/error-shape.ts'
import { allocated, bearer, type Closing, gatewayOf, JUNK, MIB, openStreams, stat } from './test/flood.ts'
import type { TestGateway } from './test/gateway.ts'
import type { RawAnswer } from './test/raw-http.ts'
import { answered, told, visit } from './test/visit.ts'

/** What the API may hold has a bound of its own, so that however full it is, visitors and agents are served. */

/** An eighth of what the gateway has, and of the places that it has for bodies. */
const HEAP = 128 * MIB
const LARGE = 4
const MEDIUM = 96

const closing: Closing = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** In http.yaml a filter's one number of calls at once stands twice. */
const atMost = (from: number, to: number) => (text: string) =>
  text
    .replace(`max_concurrency_limit: ${from},`, `max_concurrency_limit: ${to},`)
    .replace(`min_concurrency: ${from},`, `min_concurrency: ${to},`)

const largeAtMost = (places: number) => atMost(32, places)
const mediumAtMost = (places: number) => atMost(768, places)
const callsAtMost = (places: number) => atMost(1792, places)
const signInsAtMost = (places: number) => atMost(256, places)

const gatewayWith = (change: (text: string) => string, heap = 1024 * MIB) =>
  gatewayOf(heap, closing, (_, text) => change(text))

const upload = { ':method': 'POST', ':path': '/v1/tunnels', ':authority': 'api.test', ...bearer }
const signIn = { ':method': 'POST', ':path': '/v1/auth/login', ':authority': 'api.test' }
const BEGUN = Buffer.from('{')

/** The refusal of what finds no place: it says when to try again. */
function expectFull(answer: RawAnswer, row: readonly [number, string] = answers.full): void {
  expectAnswer(answer, row)
  expect(answer.headers['retry-after']).toBe('1')
}

const list = (gateway: TestGateway) => gateway.call('GET', '/v1/tunnels', { headers: bearer })

/** Visitors who all need a connection of their own to the relay are served. */
async function expectVisitorsServed(gateway: TestGateway, visitors = 20): Promise<void> {
  const arrived: (() => void)[] = []
  let refused = 0
  const answerAll = () => {
    if (arrived.length + refused === visitors) for (const answer of arrived) answer()
  }
  gateway.relay.answer = (_, response) => {
    arrived.push(() => response.end())
    answerAll()
  }
  const statuses = Array.from({ length: visitors }, async () => {
    const { status } = await told(visit(gateway.port, '/').end())
    if (status !== 200) refused++
    answerAll()
    return status
  })
  expect(await Promise.all(statuses)).toEqual(Array(visitors).fill(200))
}

/** An agent is connected, on a connection to the relay that is its own from then on. */
async function expectAgentConnected(gateway: TestGateway): Promise<void> {
  const headers = { host: 'api.test', connection: 'Upgrade', upgrade: 'instatunnel', ...bearer }
  const asked = visit(gateway.port, '/v1/tunnels/tun_1/connect', { headers }).end()
  const [answer, socket] = await Promise.race([once(asked, 'upgrade'), once(asked, 'response')])
  closing.push(() => socket?.destroy())
  expect(answer.statusCode).toBe(101)
}

/** An upload over HTTP/1.1 of which the last byte is missing, until the test is over. */
function uploadSlowly({ port }: TestGateway): void {
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => {}) // which ends it
  closing.push(() => socket.destroy())
  socket.write(
    `POST /v1/tunnels HTTP/1.1\r\nHost: api.test\r\nAuthorization: ${bearer.authorization}\r\nContent-Length: ${MIB}\r\n\r\n`,
  )
  socket.write(JUNK.subarray(1))
}

describe('callers who fill all that the API may hold', () => {
  it('with uploads that are never whole keep no visitor and no agent out', async () => {
    const gateway = await gatewayWith((text) => mediumAtMost(MEDIUM)(largeAtMost(LARGE)(text)), HEAP)
    const refused = () => stat(gateway, 'http.api.downstream_rq_5xx')
    const rounds: [number, () => void][] = [
      [
        100 - LARGE,
        () =>
          openStreams(
            gateway,
            { ...upload, 'content-length': `${MIB}` },
            { connections: 1, closing, body: JUNK.subarray(1) },
          ),
      ],
      [200 - LARGE, () => Array.from({ length: 100 }, () => uploadSlowly(gateway))],
      [
        300 - LARGE - MEDIUM,
        () => openStreams(gateway, upload, { connections: 1, closing, body: JUNK.subarray(0, 128 * 1024) }),
      ],
    ]
    for (const [expected, begin] of rounds) {
      begin()
      await expectVisitorsServed(gateway)
      await vi.waitFor(async () => expect(await refused()).toBeGreaterThanOrEqual(expected), 15_000)
      expect(await allocated(gateway)).toBeLessThan(HEAP * 0.6)
      await expectVisitorsServed(gateway)
    }
    await expectAgentConnected(gateway)
    expect((await list(gateway)).status).toBe(200) // nor a call with little to say
  }, 40_000)

  it('with answers that they do not read keep no visitor and no agent out', async () => {
    const gateway = await gatewayWith((text) => text, HEAP)
    const keys = Array.from({ length: 200 }, (_, n) => ({ id: `key_${n}`, name: 'k'.repeat(5000) }))
    gateway.keys.reply = () => ListKeysResponse.fromPartial({ keys })
    const untaken = { ':path': '/v1/auth/keys', ':authority': 'api.test', ...bearer }
    const pressure = () => stat(gateway, 'overload.envoy.resource_monitors.fixed_heap.pressure')
    const opened: ClientHttp2Stream[] = []
    while (!opened.some(({ closed }) => closed)) {
      opened.push(...openStreams(gateway, untaken, { connections: 1, closing, streams: 3, windowSize: 0 }))
      expect(opened.length).toBeLessThan(400)
      await vi.waitFor(
        async () => expect(await stat(gateway, 'cluster.keys.upstream_rq_completed')).toBe(opened.length),
        15_000,
      )
      // The heap of this test is small: what is opened between two looks of Envoy's at it would be much of it.
      const held = Math.floor(((await allocated(gateway)) / HEAP) * 100)
      await vi.waitFor(async () => expect(await pressure()).toBeGreaterThanOrEqual(held - 1), 15_000)
      await expectVisitorsServed(gateway)
    }
    await expectAgentConnected(gateway)
  }, 60_000)

  it('with calls that auth has not decided about keep no visitor and no agent out', async () => {
    const gateway = await gatewayWith(callsAtMost(10))
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    closing.push(end)
    let waiting = 0
    gateway.auth.check.decide = async ({ attributes }) => {
      if (attributes?.contextExtensions.access === 'connect') return { admit: true }
      waiting++
      await over
      return { admit: true }
    }
    const calls = openStreams(
      gateway,
      { ...upload, ':method': 'GET' },
      { connections: 1, closing, streams: 10 },
    )
    await vi.waitFor(() => expect(waiting).toBe(10), 10_000)
    expectFull(await list(gateway))
    expect(waiting).toBe(10)
    await expectVisitorsServed(gateway)
    await expectAgentConnected(gateway)
    end()
    for (const call of calls) if (!call.closed) await once(call.resume(), 'close')
    expect((await list(gateway)).status).toBe(200)
  }, 30_000)
})

describe('strangers who sign in', () => {
  it('and send no body keep others from signing in, and nobody from the API', async () => {
    const gateway = await gatewayWith((text) => signInsAtMost(5)(callsAtMost(20)(text)))
    openStreams(
      gateway,
      { ...signIn, 'content-length': '300' },
      { connections: 1, closing, streams: 30, body: BEGUN },
    )
    await vi.waitFor(async () => expect(await stat(gateway, 'http.api.downstream_rq_5xx')).toBe(25), 10_000)
    expectFull(await gateway.call('POST', '/v1/auth/login', { body: '{}' }), answers.signInsFull)
    expect((await list(gateway)).status).toBe(200)
  })

  it('and ask whether their body is wanted keep no call from being asked for its own', async () => {
    const gateway = await gatewayWith((text) =>
      text.replace('max_requests: 64', 'max_requests: 1').replace('max_requests: 256', 'max_requests: 1'),
    )
    const begun = async (path: string, headers: Record<string, string>) => {
      const asked = visit(gateway.port, path, {
        method: 'POST',
        headers: { host: 'api.test', expect: '100-continue', 'content-length': '2', ...headers },
      })
      asked.on('error', () => {}) // the gateway ends it, or the test
      asked.flushHeaders()
      closing.push(() => asked.destroy())
      await once(asked, 'continue')
      return asked
    }
    await begun('/v1/auth/login', {})
    const headers = { expect: '100-continue' }
    expectFull(await gateway.call('POST', '/v1/auth/login', { headers, body: '{}' }), answers.signInsFull)
    const call = await begun('/v1/tunnels', { ...bearer, 'content-type': 'application/json' })
    expect((await told(call.end('{}'))).status).toBe(200)
  })
})

describe('a body that is not small', () => {
  it('has its place until its call has ended, in whichever way', async () => {
    const gateway = await gatewayWith((text) =>
      mediumAtMost(1)(text).replace('max_stream_duration: 10s', 'max_stream_duration: 1s'),
    )
    const post = (length: number) =>
      gateway.call('POST', '/v1/tunnels', { headers: bearer, body: `{${' '.repeat(length - 2)}}` })
    const free = () => vi.waitFor(async () => expect((await post(10_000)).status).toBe(200), 10_000)
    /** One takes the place: another is refused, and small bodies are not. */
    const hold = async (): Promise<ClientHttp2Stream> => {
      await free()
      const { asked } = gateway.auth.check
      const before = asked.length
      const [stream] = openStreams(gateway, upload, {
        connections: 1,
        closing,
        streams: 1,
        body: BEGUN,
      })
      await vi.waitFor(() => expect(asked.length).toBe(before + 1), 10_000) // and it comes before all that follow
      expectFull(await post(10_000))
      expect((await post(9_999)).status).toBe(200)
      expect((await post(100_000)).status).toBe(200) // it is large
      return stream as ClientHttp2Stream
    }
    const endings: ((stream: ClientHttp2Stream) => unknown)[] = [
      (stream) => stream.close(constants.NGHTTP2_CANCEL),
      (stream) => stream.session?.destroy(),
      (stream) => stream.end(), // 400
      (stream) => stream.write(JUNK), // 413
      () => {}, // 408
    ]
    for (const end of endings) end(await hold())
    await free()
  }, 60_000)

  it('has one of fewer places where it is large', async () => {
    const gateway = await gatewayWith(largeAtMost(1))
    const post = (length: number) =>
      gateway.call('POST', '/v1/tunnels', { headers: bearer, body: `{${' '.repeat(length - 2)}}` })
    uploadSlowly(gateway)
    await vi.waitFor(() => expect(gateway.auth.check.asked).toHaveLength(1), 10_000)
    expectFull(await post(100_000))
    expect((await post(99_999)).status).toBe(200)
  })

  it('is not what a call has that takes none: there it is small, or 413', async () => {
    const gateway = await gatewayWith((text) => mediumAtMost(1)(largeAtMost(1)(text)))
    const { asked: questions } = gateway.auth.check
    for (const method of ['GET', 'DELETE']) {
      const before = questions.length
      const head = { ...upload, ':method': method, 'content-length': '10000' }
      openStreams(gateway, head, { connections: 1, closing, streams: 3, body: BEGUN })
      await vi.waitFor(() => expect(questions.length).toBe(before + 3), 10_000)
    }
    const body = `{${' '.repeat(9998)}}`
    expect((await gateway.call('POST', '/v1/tunnels', { headers: bearer, body })).status).toBe(200)
    const refusal = '{"error":"payload_too_large","message":"The body is larger than 16 KiB.","code":4014}'
    for (const method of ['GET', 'DELETE'])
      for (const [name, value] of [
        ['transfer-encoding', 'chunked'],
        ['content-length', '17000'],
      ] as const) {
        const headers = { host: 'api.test', ...bearer, [name]: value }
        const asked = visit(gateway.port, '/v1/tunnels/tun_1', { method, headers })
        asked.on('error', () => {}) // Envoy ends what it does not read
        asked.write(JUNK.subarray(0, 17_000))
        const answer = await answered(asked)
        expect([answer.statusCode, Buffer.concat(await answer.toArray()).toString()]).toEqual([413, refusal])
      }
  })
})

describe('auth is asked about calls and about agents apart:', () => {
  it.each([
    ['calls fill what they have, and agents connect', undefined, expectAgentConnected],
    [
      'agents fill what they have, and calls are answered',
      'connect',
      async (gateway: TestGateway) => expect((await list(gateway)).status).toBe(200),
    ],
  ])('%s', async (_, held, expectOther) => {
    const gateway = await gatewayWith((text) => text.replace('max_requests: 4096', 'max_requests: 1'))
    const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>()
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    closing.push(end)
    gateway.auth.check.decide = async ({ attributes }) => {
      if (attributes?.contextExtensions.access !== held) return { admit: true }
      isAsked()
      await over
      return { admit: false, http: 401, body: '{}' }
    }
    const path = held ? '/v1/tunnels/tun_1/connect' : '/v1/tunnels'
    const one = () =>
      gateway.call('GET', path, {
        headers: { ...bearer, ...(held ? { connection: 'Upgrade', upgrade: 'instatunnel' } : {}) },
      })
    const first = one()
    await asked
    expectAnswer(await one(), answers.unavailable)
    await expectOther(gateway)
    await expectVisitorsServed(gateway, 2)
    end()
    expect((await first).status).toBe(401)
  })
})

it('calls that ask whether their body is wanted fill a circuit of their own', async () => {
  const gateway = await gatewayWith((text) => text.replace('max_requests: 256', 'max_requests: 1'))
  const begun = () =>
    gateway.call('POST', '/v1/tunnels', {
      headers: { ...bearer, expect: '100-continue', 'content-length': '9' },
    })
  const asked = visit(gateway.port, '/v1/tunnels', {
    method: 'POST',
    headers: { host: 'api.test', ...bearer, expect: '100-continue', 'content-length': '2' },
  })
  asked.on('error', () => {}) // where the test fails first
  asked.flushHeaders()
  await once(asked, 'continue')
  expectFull(await begun())
  expect((await list(gateway)).status).toBe(200)
  await expectVisitorsServed(gateway)
  expect((await told(asked.end('{}'))).status).toBe(415)
})

it('calls that ask whether their body is wanted wait for no others to end: they are asked for it, or 503', async () => {
  const gateway = await gatewayWith((text) => text)
  const head = { ...upload, expect: '100-continue', 'content-length': '9' }
  const calls = openStreams(gateway, head, { connections: 3, closing, body: Buffer.alloc(0) })
  let asked = 0
  const refused: unknown[] = []
  for (const call of calls) {
    call.on('continue', () => asked++)
    call.on('response', (headers) => refused.push(headers[':status'], headers['retry-after']))
  }
  await vi.waitFor(() => expect(asked + refused.length / 2).toBe(300), 8_000)
  expect(asked).toBe(256)
  expect(new Set(refused)).toEqual(new Set([503, '1']))
})
