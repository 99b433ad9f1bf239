import { serviceNames } from '@instatunnel/local/service-names'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { restClient } from './harness/rest-client.ts'
import { startTestStack, type TestStack } from './harness/stack.ts'

/** How long the gateway may take to see that a replica is gone, on a busy machine. */
const soon = { timeout: 10_000 }

let stack: TestStack
let token: string
beforeAll(async () => {
  stack = await startTestStack({ settings: { INSTATUNNEL_REPLICAS: '2' } })
  const { body } = await stack.call('POST', '/v1/auth/register', {
    body: { email: 'two@example.com', password: 'correct horse battery' },
  })
  token = body.token
})
afterAll(() => stack?.stop())

it('answers from either replica of every service, with one of each killed and back', {
  timeout: 60_000,
}, async () => {
  const visit = restClient({ port: stack.gateway.port, host: 'no-such-tunnel.localhost' })
  for (const replica of [0, 1]) {
    for (const name of serviceNames) await stack.service(name, replica).kill()
    await expect.poll(async () => (await stack.call('GET', '/v1/tunnels', { token })).status, soon).toBe(200)
    await expect
      .poll(async () => (await stack.call('GET', '/v1/auth/keys', { token })).status, soon)
      .toBe(200)
    await expect.poll(async () => (await visit('GET', '/')).status, soon).toBe(404)
    await Promise.all(serviceNames.map((name) => stack.service(name, replica).start()))
    await stack.gateway.healthy()
  }
})

it('comes back after Postgres, NATS and Envoy were killed, each on its own port', async () => {
  await Promise.all([stack.postgres.kill(), stack.nats.kill(), stack.gateway.kill()])
  await Promise.all([stack.postgres.start(), stack.nats.start(), stack.gateway.start()])
  await stack.gateway.healthy()
  const made = await stack.call('POST', '/v1/tunnels', { token, body: { name: 'after', local_port: 3000 } })
  expect(made.status).toBe(200)
  const observer = await stack.observe()
  const event = await observer.event(({ type }) => type.endsWith('tunnel.created'))
  expect(event.data.tunnel_id).toBe(made.body.tunnel.id)
})
