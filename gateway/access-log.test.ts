import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from './test/gateway.ts'
import { sendRaw } from './test/raw-http.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  gateway.log.length = 0
  gateway.auth.check.decide = () => ({ admit: true })
})

/** The log once it has so many lines. */
async function lines(count: number): Promise<Record<string, unknown>[]> {
  await expect.poll(() => gateway.log.length, { timeout: 5_000 }).toBe(count)
  return gateway.log
}

it('tells a call in one line of JSON', async () => {
  const headers = { 'user-agent': 'curl "8"\\' }
  const id = 'tun_01hzy3v7k9m2n4p6q8r0s2t4v6'
  const answer = await gateway.call('DELETE', `/v1/tunnels/${id}`, { headers })
  expect(await lines(1)).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      request_id: answer.headers['x-request-id'],
      client: '127.0.0.1',
      method: 'DELETE',
      path: `/v1/tunnels/${id}`,
      protocol: 'HTTP/1.1',
      rpc: '/instatunnel.tunnels.v1.TunnelService/DeleteTunnel',
      status: 200,
      flags: '-',
      details: 'via_upstream',
      bytes_received: 0,
      bytes_sent: 30,
      duration_ms: expect.any(Number),
      upstream: 'tunnels',
      upstream_address: gateway.tunnels.address,
      user_agent: 'curl "8"\\',
    },
  ])
})

it('tells nothing secret, however the call ends', async () => {
  const secret = 'it_0123456789abcdef'
  const headers = {
    authorization: `Bearer ${secret}`,
    cookie: `session=${secret}`,
    'x-instatunnel-identity': secret,
    'x-request-id': secret,
    'x-api-key': secret,
    referer: `https://evil.test/?${secret}`,
    origin: `https://${secret}.test`,
    'x-forwarded-for': secret,
  }
  const body = JSON.stringify({ name: secret, key: secret, password: secret })
  await gateway.call('GET', `/v1/tunnels?page_token=${secret}`, { headers })
  await gateway.call('GET', `/v1/tunnels?${secret}=1`, { headers })
  await gateway.call('GET', `/v1/nothing?token=${secret}`, { headers })
  await gateway.call('GET', `/v1//tunnels?token=${secret}`, { headers })
  await gateway.call('POST', '/v1/auth/login', { headers, body })
  await gateway.call('POST', '/v1/tunnels', { headers, body: `{"local_port":"${secret}"}` })
  await gateway.call('POST', '/v1/tunnels', { headers, body: `{"${secret}` })
  await gateway.call('GET', `http://user:${secret}@api.test/v1/tunnels`, { headers })
  await gateway.call('GET', '/v1/tunnels', { headers, host: `user:${secret}@api.test` })
  await gateway.call('GET', '/v1/tunnels', { headers: { ...headers, connection: 'Upgrade', upgrade: 'x' } })
  await gateway.call('GET', `/#${secret}`, { headers })
  gateway.auth.check.decide = () => ({ admit: false, http: 401, body: JSON.stringify({ secret }) })
  await gateway.call('GET', '/v1/tunnels', { headers })
  expect(JSON.stringify(await lines(12))).not.toContain(secret)
  expect(gateway.envoy.logTail().join()).not.toContain(secret)
})

describe('of a path', () => {
  const ulid = '01hzy3v7k9m2n4p6q8r0s2t4v6'
  const jwt = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c2VyXzEifQ.c2lnbmF0dXJl'
  const long = 'a'.repeat(20_000)
  const cases: [what: string, path: string, told: string][] = [
    ['words and our ids', `/v1/auth/keys/key_${ulid}`, `/v1/auth/keys/key_${ulid}`],
    [
      'words with a hyphen',
      `/v1/tunnels/tun_${ulid}/regenerate-token`,
      `/v1/tunnels/tun_${ulid}/regenerate-token`,
    ],
    ['no query', `/v1/tunnels?page_token=it_0123456789abcdef`, '/v1/tunnels'],
    ['no key', '/v1/auth/keys/it_0123456789abcdef', '/v1/auth/keys/***'],
    [
      'no key with a prefix of its own',
      `/v1/auth/keys/acme-${'0123456789abcdef'.repeat(2)}`,
      '/v1/auth/keys/***',
    ],
    ['no key that looks like an id', `/v1/auth/keys/key_${'0'.repeat(32)}`, '/v1/auth/keys/***'],
    ['no key behind an id', `/v1/auth/keys/key_${ulid}it_0123456789abcdef`, '/v1/auth/keys/***'],
    ['no tunnel token', `/v1/tunnels/itt_${'0123456789abcdef'.repeat(2)}`, '/v1/tunnels/***'],
    ['no JWT', `/v1/auth/sessions/${jwt}`, '/v1/auth/sessions/***'],
    ['no capitals', '/v1/auth/keys/ABCDEFGHIJKLMNOP', '/v1/auth/keys/***'],
    ['no hexadecimals', '/v1/auth/keys/d131dd02c5e6eec4', '/v1/auth/keys/***'],
    ['nothing encoded', '/v1/auth/keys/i%74_0123456789abcdef', '/v1/auth/keys/***'],
    ['nothing in place of the version', '/it_0123456789abcdef/tunnels', '/***/tunnels'],
    ['nothing where there is nothing', '/v1/nothing/it_0123456789abcdef', '/v1/nothing/***'],
    ['nothing where an odd one is refused', '/v1//it_0123456789abcdef/..', '/v1//***/***'],
    ['nothing of an rpc that it only looks like', '/instatunnel.auth.v1.it_0123456789abcdef', '/***'],
    ['no parameters of a segment', '/v1/tunnels;key=it_0123456789abcdef', '/v1/***'],
    ['nothing long', `/v1/tunnels/${long}`, '/v1/tunnels/***'],
    ['nothing past eight segments', `/v1${'/a'.repeat(10_000)}`, `/v1${'/a'.repeat(7)}/***`],
  ]
  for (const [what, path, told] of cases) {
    it(`tells ${what}`, async () => {
      await gateway.call('GET', path)
      const [line] = await lines(1)
      expect(line?.path).toBe(told)
      // Only what was made into an rpc is called one.
      expect(line?.rpc ?? '').toSatisfy((rpc) => rpc === '' || /^\/instatunnel(\.\w+)+\/\w+$/.test(rpc))
      expect(JSON.stringify(line)).not.toMatch(/0123456789abcdef|eyJ|aaaaa/)
    })
  }

  it('tells nothing of a host that is nobody, and of a call that is refused unread', async () => {
    await gateway.call('GET', '/v1/auth/keys/it_0123456789abcdef', { host: 'nobody.test' })
    await gateway.call('POST', '/v1/auth/keys/it_0123456789abcdef', {
      headers: { 'content-type': 'application/grpc' },
    })
    await sendRaw(gateway.port, 'GET /v1/auth/keys/it_0123456789abcdef HTTP/1.0\r\n\r\n')
    await sendRaw(gateway.port, 'GET /v1/auth/keys/it_0123456789abcdef HTTP/1.1\r\n\r\n')
    await sendRaw(gateway.port, 'CONNECT it_0123456789abcdef:443 HTTP/1.1\r\nHost: api.test\r\n\r\n')
    await sendRaw(gateway.port, 'OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n')
    const large = `x: ${'a'.repeat(40_000)}`
    await sendRaw(
      gateway.port,
      `GET /v1/keys/it_0123456789abcdef HTTP/1.1\r\nHost: api.test\r\n${large}\r\n\r\n`,
    )
    expect(JSON.stringify(await lines(7))).not.toContain('0123456789abcdef')
  })
})

describe('of a visitor', () => {
  it('tells which tunnel, and how it ended', async () => {
    gateway.relay.answer = (request, response) => request.on('end', () => response.end('answer')).resume()
    await gateway.call('POST', '/a?b', { host: 'docs.tunnels.test:8080', body: '{"a":1}' })
    expect(await lines(1)).toEqual([
      {
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        client: '127.0.0.1',
        method: 'POST',
        host: 'docs.tunnels.test:8080',
        protocol: 'HTTP/1.1',
        status: 200,
        flags: '-',
        details: 'via_upstream',
        bytes_received: 7,
        bytes_sent: 6,
        duration_ms: expect.any(Number),
        upstream: 'relay',
        upstream_address: gateway.relay.address,
      },
    ])
  })

  it('tells nothing that is between him and the site', async () => {
    const secret = 'it_0123456789abcdef'
    const headers = {
      ...{ authorization: secret, cookie: secret, 'x-request-id': secret },
      ...{ referer: secret, 'x-instatunnel-identity': secret, 'x-forwarded-for': secret },
    }
    const upgrade = { connection: 'Upgrade', upgrade: secret }
    const host = 'docs.tunnels.test'
    await gateway.call('GET', `/${secret}?${secret}#`, { host, headers })
    await gateway.call('GET', `/${secret}?${secret}`, { host, headers })
    await gateway.call('GET', `/${secret}`, { host, headers: { ...headers, ...upgrade } })
    await gateway.call('GET', `/${secret}`, { host: `user:${secret}@${host}`, headers })
    await gateway.relay.stop()
    await gateway.call('GET', `/${secret}`, { host, headers })
    expect(JSON.stringify(await lines(5))).not.toContain(secret)
  })
})

it('tells of a call that waits for 100 once', async () => {
  await gateway.call('POST', '/v1/tunnels', { headers: { expect: '100-continue' }, body: '{}' })
  await gateway.call('GET', '/v1/nothing')
  expect(await lines(2)).toMatchObject([
    { path: '/v1/tunnels', client: '127.0.0.1', upstream: 'tunnels', status: 200 },
    { path: '/v1/nothing' },
  ])
})

it('cuts what is long', async () => {
  await gateway.call('GET', '/v1/tunnels', { headers: { 'user-agent': 'u'.repeat(5_000) } })
  expect((await lines(1))[0]).toMatchObject({ user_agent: 'u'.repeat(200) })
})

it('says nothing of health checks', async () => {
  await gateway.call('GET', '/healthz')
  await gateway.call('GET', '/v1/nothing')
  expect((await lines(1))[0]).toMatchObject({ path: '/v1/nothing', status: 404 })
})
