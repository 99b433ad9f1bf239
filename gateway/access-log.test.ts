import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { startGateway, type TestGateway } from './test/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  gateway.log.length = 0
})

/** The log once it has so many lines. */
async function lines(count: number): Promise<Record<string, unknown>[]> {
  await expect.poll(() => gateway.log.length, { timeout: 5_000 }).toBe(count)
  return gateway.log
}

it('tells a call in one line of JSON', async () => {
  const headers = { 'user-agent': 'curl "8"\\' }
  const answer = await gateway.call('DELETE', '/v1/tunnels/tun_1', { headers })
  expect(await lines(1)).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      request_id: answer.headers['x-request-id'],
      client: '127.0.0.1',
      method: 'DELETE',
      path: '/v1/tunnels/tun_1',
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
  gateway.auth.check.decide = () => ({ admit: false, http: 401, body: JSON.stringify({ secret }) })
  await gateway.call('GET', '/v1/tunnels', { headers })
  expect(JSON.stringify(await lines(10))).not.toContain(secret)
  expect(gateway.envoy.logTail().join()).not.toContain(secret)
})

it('cuts what is long', async () => {
  const headers = { 'user-agent': 'u'.repeat(5_000) }
  await gateway.call('GET', `/v1/tunnels/${'a'.repeat(20_000)}`, { headers })
  const path = `/v1/tunnels/${'a'.repeat(1024 - '/v1/tunnels/'.length)}`
  expect((await lines(1))[0]).toMatchObject({ path, user_agent: 'u'.repeat(200) })
})

it('says nothing of health checks', async () => {
  await gateway.call('GET', '/healthz')
  await gateway.call('GET', '/v1/nothing')
  expect((await lines(1))[0]).toMatchObject({ path: '/v1/nothing', status: 404 })
})
