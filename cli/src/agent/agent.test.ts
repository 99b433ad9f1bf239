import type { ServerResponse } from 'node:http'
import { goaways } from '@instatunnel/kit/goaway'
import { describe, expect, it } from 'vitest'
import { startAgent } from '../../test/agents.ts'
import { startHttp, startRaw, unusedPort } from '../../test/local-servers.ts'
import { ask, startRelayEnd, Visitor } from '../../test/relay-end.ts'
import type { AgentEvent } from './agent.ts'

const HOST = { headers: ['host', 'a'] }

/** A local server whose answers to /waits are the test's to give. */
async function startWaiting() {
  const waiting: ServerResponse[] = []
  const { port } = await startHttp((request, response) => {
    if (request.url === '/waits') waiting.push(response)
    else response.end('at once')
  })
  return { port, waiting }
}

const kinds = (events: readonly AgentEvent[]) =>
  events.map(({ kind }) => kind).filter((kind) => kind !== 'latency' && kind !== 'request')

const retries = (events: readonly AgentEvent[]) => events.filter((event) => event.kind === 'retrying')

describe('an agent', () => {
  it('asks for its tunnel with its credential, under one name for all its connections', async () => {
    const relay = await startRelayEnd()
    startAgent(relay, { port: 1, tunnelId: 'tun_a/b', mode: 'mcp' })
    for (let nth = 1; nth <= 3; nth++) (await relay.connection()).link.destroy()
    await relay.connection()
    const [first, ...others] = relay.asked
    expect(first?.path).toBe('/v1/tunnels/tun_a%2Fb/connect?mode=mcp')
    expect(first?.headers).toMatchObject({
      authorization: 'Bearer it_1234567890abcdef',
      connection: 'Upgrade',
      upgrade: 'instatunnel',
      'instatunnel-agent': expect.stringMatching(/^[0-9A-Za-z_-]{16,64}$/),
    })
    expect(relay.asked.map(({ headers }) => headers['instatunnel-generation'])).toEqual(['1', '2', '3', '4'])
    for (const { headers } of others)
      expect(headers['instatunnel-agent']).toBe(first?.headers['instatunnel-agent'])
  })

  it('tells where its tunnel is reachable, what passes, and how long the relay takes', async () => {
    const relay = await startRelayEnd()
    const { port } = await startHttp((_request, response) => response.end('hello'))
    const { events } = startAgent(relay, { port })
    const connection = await relay.connection()
    await ask(connection, { path: '/a?b', ...HOST })
    await expect.poll(() => events.map(({ kind }) => kind)).toContain('latency')
    expect(events.filter(({ kind }) => kind !== 'latency')).toEqual([
      { kind: 'connecting' },
      { kind: 'connected', url: 'http://docs-demo.localhost:8080', connectionId: 'conn_1' },
      { kind: 'request', method: 'GET', path: '/a?b', status: 200, ms: expect.any(Number), bytes: 5 },
    ])
  })

  it('answers a request that came together with its connection', async () => {
    const { port } = await startHttp((_request, response) => response.end('first'))
    const open = Buffer.from(`\x81\0\0\x0c\0\0\0\x01GET\n/\nhost\na`, 'latin1')
    const relay = await startRelayEnd({ bytes: open })
    const { events } = startAgent(relay, { port })
    await expect.poll(() => events.at(-1)).toMatchObject({ kind: 'request', status: 200, bytes: 5 })
  })

  it('comes again when its connection is lost, after the old one has ended', async () => {
    const relay = await startRelayEnd()
    const { port, waiting } = await startWaiting()
    const { events } = startAgent(relay, { port })
    const first = await relay.connection()
    const visitor = new Visitor(first.link, { path: '/waits', ...HOST })
    await expect.poll(() => waiting.length).toBe(1)
    const closed = new Promise((resolve) => waiting[0]?.on('close', resolve))
    first.link.destroy()
    const second = await relay.connection()
    await closed
    expect([await first.ended, visitor.given?.code]).toEqual(['lost', 5])
    expect((await ask(second, HOST)).body).toBe('at once')
    expect(kinds(events)).toEqual(['connecting', 'connected', 'retrying', 'connecting', 'connected'])
    expect(retries(events)).toMatchObject([{ why: 'The connection was lost' }])
  })

  it.each(['draining', 'tunnel_changed'] as const)(
    'moves at once when the relay says %s, and finishes there what it has begun',
    async (reason) => {
      const relay = await startRelayEnd()
      const { port, waiting } = await startWaiting()
      const { events } = startAgent(relay, { port })
      const first = await relay.connection()
      const visitor = new Visitor(first.link, { path: '/waits', ...HOST })
      await expect.poll(() => waiting.length).toBe(1)
      first.link.goaway(reason)
      const second = await relay.connection()
      expect((await ask(second, HOST)).body).toBe('at once')
      expect(retries(events)).toEqual([{ kind: 'retrying', why: goaways[reason].message, inMs: 0 }])
      expect(first.link.ended).toBe(false)
      waiting[0]?.end('finished')
      await visitor.over
      expect(visitor.body).toBe('finished')
      expect(await first.ended).toBe('lost')
      expect(first.goaways).toEqual(['leaving'])
    },
  )

  it('comes again after a while when it is told that it stalled', async () => {
    const relay = await startRelayEnd()
    const { events } = startAgent(relay, { port: 1 })
    const first = await relay.connection()
    first.link.close('stalled')
    await relay.connection()
    expect(retries(events)).toMatchObject([{ why: goaways.stalled.message }])
  })

  const finalReasons = Object.entries(goaways).filter(([, { after }]) => after === 'end')
  it.each(finalReasons)('ends when the relay says %s, and says why', async (reason, { message }) => {
    const relay = await startRelayEnd()
    const { port, waiting } = await startWaiting()
    const { ended } = startAgent(relay, { port })
    const first = await relay.connection()
    const visitor = new Visitor(first.link, { path: '/waits', ...HOST })
    await expect.poll(() => waiting.length).toBe(1)
    first.link.close(reason as keyof typeof goaways)
    expect(await ended).toEqual({ kind: 'sent_away', reason, message })
    expect(visitor.given?.code).toBe(5)
    expect(relay.asked).toHaveLength(1)
  })

  it('comes again for a reason that it does not know', async () => {
    const relay = await startRelayEnd()
    const { events } = startAgent(relay, { port: 1 })
    const first = await relay.connection()
    first.link.close('moon_is_full' as 'leaving')
    await relay.connection()
    expect(retries(events)).toMatchObject([{ why: 'The relay says moon_is_full' }])
  })

  it.each<[string, Buffer]>([
    ['bytes that are no frames', Buffer.from('HTTP/1.1 200 OK\r\n\r\n')],
    ['an answer', Buffer.from('\x01\0\0\x05\0\0\0\x01GET\n/\x02\0\0\x06\0\0\0\x01200\nOK', 'latin1')],
    ['data of no stream', Buffer.from('\x03\0\0\x01\0\0\0\x07x', 'latin1')],
  ])('leaves a relay that sends %s, and comes again', async (_what, bytes) => {
    const relay = await startRelayEnd({ bytes })
    const { port } = await startRaw(() => {})
    const { events } = startAgent(relay, { port })
    const first = await relay.connection()
    await first.ended
    expect(first.goaways).toEqual(['protocol_error'])
    await relay.connection()
    expect(retries(events)[0]).toMatchObject({ why: 'The relay broke the protocol' })
  })
})

describe('an agent that is not taken', () => {
  it.each([400, 403, 404])('ends with what the API says: %i', async (status) => {
    const relay = await startRelayEnd()
    const answer = { error: 'some_error', message: 'No, for a reason', code: 4000 }
    relay.refusals.push({ status, body: answer })
    const { ended, events } = startAgent(relay, { port: 1 })
    expect(await ended).toMatchObject({ kind: 'refused', error: { status, answer, message: answer.message } })
    expect(kinds(events)).toEqual(['connecting'])
  })

  it('ends with 401 only where a second question, half a minute later, gets it too', async () => {
    const relay = await startRelayEnd()
    const answer = { error: 'unauthorized', message: 'Invalid or missing API key', code: 4001 }
    const refusal = { status: 401, body: answer }
    relay.refusals.push(refusal)
    const { events, ended } = startAgent(relay, { port: 1, secondQuestionMs: 1 })
    const first = await relay.connection()
    expect(retries(events)).toEqual([{ kind: 'retrying', why: answer.message, inMs: 1 }])
    relay.refusals.push(refusal, refusal)
    first.link.destroy()
    expect(await ended).toMatchObject({ kind: 'refused', error: { status: 401, answer } })
    expect(relay.asked).toHaveLength(4)
    const patient = startAgent({ url: relay.url }, { port: 1 })
    relay.refusals.push(refusal)
    await expect.poll(() => retries(patient.events)).toMatchObject([{ inMs: 30_000 }])
  })

  it('with a token that the API does not know says so, and speaks of no key', async () => {
    const relay = await startRelayEnd()
    const answer = { error: 'unauthorized', message: 'Invalid or missing API key', code: 4001 }
    relay.refusals.push({ status: 401, body: answer }, { status: 401, body: answer })
    const { events, ended } = startAgent(relay, {
      port: 1,
      secondQuestionMs: 1,
      credential: 'itt_0123456789',
    })
    const message = expect.stringMatching(/^The tunnel's token is not valid, .* regenerated/)
    expect(await ended).toMatchObject({ kind: 'refused', error: { status: 401, answer: { message } } })
    expect(retries(events)).toMatchObject([{ why: message }])
  })

  it('meets a backoff where relays send it on again and again', async () => {
    const relay = await startRelayEnd()
    const { events } = startAgent(relay, { port: 1 })
    for (let nth = 0; nth < 12; nth++) (await relay.connection()).link.goaway('draining')
    await expect.poll(() => retries(events).length).toBe(12)
    const waits = retries(events).map(({ inMs }) => inMs)
    expect(waits.slice(0, 10)).toEqual(Array(10).fill(0))
    for (const ms of waits.slice(10)) expect(ms).toBeGreaterThan(0)
  })

  it.each([408, 409, 429, 500, 502, 503, 504])('tries again after %i, and says why', async (status) => {
    const relay = await startRelayEnd()
    relay.refusals.push({ status, body: { error: 'some_error', message: 'Not now', code: 5000 } })
    const { events } = startAgent(relay, { port: 1 })
    await relay.connection()
    expect(retries(events)).toMatchObject([{ why: 'Not now' }])
  })

  it('tries again where something else answers in the place of the API', async () => {
    const relay = await startRelayEnd()
    relay.refusals.push({ status: 404, body: '<html>' }, { status: 200, body: 'x'.repeat(1_000_000) })
    const { events } = startAgent(relay, { port: 1 })
    await relay.connection()
    expect(retries(events)).toMatchObject([
      { why: `${relay.url} answers with status 404, but not as InstaTunnel's API does` },
      { why: `${relay.url} answers with status 200, but not as InstaTunnel's API does` },
    ])
  })

  it('waits as long as the API asks it to', async () => {
    const relay = await startRelayEnd()
    const body = { error: 'unavailable', message: 'Soon', code: 5003 }
    relay.refusals.push({ status: 503, headers: { 'retry-after': '1' }, body })
    const { events } = startAgent(relay, { port: 1 })
    const before = performance.now()
    await relay.connection()
    expect(performance.now() - before).toBeGreaterThanOrEqual(1000)
    expect(retries(events)[0]?.inMs).toBeGreaterThanOrEqual(1000)
  })

  it('tries again while the network is away', async () => {
    const port = await unusedPort()
    const { events, stop, ended } = startAgent({ url: `http://127.0.0.1:${port}` }, { port: 1 })
    await expect.poll(() => retries(events).length).toBeGreaterThan(1)
    expect(retries(events)[0]).toMatchObject({
      why: `http://127.0.0.1:${port} does not answer: ECONNREFUSED`,
    })
    stop()
    expect(await ended).toEqual({ kind: 'stopped' })
  })
})

describe('an agent that is stopped', () => {
  it('finishes what it has begun, and what is sent until the relay has heard', async () => {
    const relay = await startRelayEnd()
    const { port, waiting } = await startWaiting()
    const { stop, ended } = startAgent(relay, { port })
    const { link, goaways: heard, ended: linkEnded } = await relay.connection()
    const before = new Visitor(link, { path: '/waits', ...HOST })
    await expect.poll(() => waiting.length).toBe(1)
    stop()
    await expect.poll(() => heard).toEqual(['leaving'])
    const after = await ask({ link }, HOST)
    expect(after.body).toBe('at once')
    link.goaway('leaving')
    waiting[0]?.end('finished')
    await before.over
    expect(before.body).toBe('finished')
    expect(await ended).toEqual({ kind: 'stopped' })
    expect(await linkEnded).toBe('lost')
  })

  it('does not wait for a relay that says nothing', async () => {
    const relay = await startRelayEnd()
    const { stop, ended } = startAgent(relay, { port: 1 })
    await relay.connection()
    stop()
    expect(await ended).toEqual({ kind: 'stopped' })
  })

  it('ends while it connects, while it waits, and before it began', async () => {
    const silent = await startRaw(() => {})
    const connecting = startAgent({ url: `http://127.0.0.1:${silent.port}` }, { port: 1 })
    const relay = await startRelayEnd()
    const body = { error: 'unavailable', message: 'Later', code: 5003, retry_after: 3600 }
    relay.refusals.push({ status: 503, headers: { 'retry-after': '3600' }, body })
    const waiting = startAgent(relay, { port: 1 })
    await expect.poll(() => retries(waiting.events).length).toBe(1)
    connecting.stop()
    waiting.stop()
    const never = startAgent(relay, { port: 1, signal: AbortSignal.abort() })
    for (const { ended } of [connecting, waiting, never]) expect(await ended).toEqual({ kind: 'stopped' })
    expect(never.events).toEqual([])
  })

  it('finishes on the connection that it has left, too', async () => {
    const relay = await startRelayEnd()
    const { port, waiting } = await startWaiting()
    const { stop, ended, events } = startAgent(relay, { port })
    const first = await relay.connection()
    const visitor = new Visitor(first.link, { path: '/waits', ...HOST })
    await expect.poll(() => waiting.length).toBe(1)
    first.link.goaway('draining')
    const second = await relay.connection()
    await expect.poll(() => kinds(events).filter((kind) => kind === 'connected').length).toBe(2)
    stop()
    await expect.poll(() => second.goaways).toEqual(['leaving'])
    second.link.close('leaving')
    waiting[0]?.end('finished')
    await visitor.over
    expect([visitor.body, await ended]).toEqual(['finished', { kind: 'stopped' }])
  })
})
