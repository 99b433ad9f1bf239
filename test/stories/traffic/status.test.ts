import { type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import type { SeenEvent } from '@instatunnel/test/observer'
import { makeTunnel, type Tunnel } from '@instatunnel/test/open-tunnel'
import { aTime } from '@instatunnel/test/shapes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

/** What the API says of a tunnel's agents, and what it tells others. */

let stack: TestStack
let accounts: Accounts
let tunnel: Tunnel
beforeAll(async () => {
  stack = await startTestStack()
  accounts = accountsOf(stack.call)
})
beforeEach(async () => {
  tunnel = await makeTunnel(stack, accounts)
  return () => tunnel.close()
})
afterAll(() => stack?.stop())

const shown = async () =>
  bodyOf(await stack.call('GET', `/v1/tunnels/${tunnel.id}`, { token: tunnel.owner.token }))
/** Resolves once the tunnel has this status, alone and in the list. */
const becomes = async (status: string) => {
  await expect.poll(async () => (await shown()).status, { timeout: 2000, interval: 20 }).toBe(status)
  const { tunnels } = bodyOf(await stack.call('GET', '/v1/tunnels', { token: tunnel.owner.token }))
  expect(tunnels.map((each: { status: string }) => each.status)).toEqual([status])
}

it('a tunnel is active while it has an agent, and keeps when one last connected', async () => {
  expect(await shown()).toMatchObject({ status: 'inactive' })
  expect(await shown()).not.toHaveProperty('last_connected')
  const before = Date.now()
  const agent = await tunnel.connect()
  await becomes('active')
  await expect.poll(shown).toMatchObject({ last_connected: aTime })
  const { last_connected } = await shown()
  expect(Date.parse(last_connected)).toBeGreaterThanOrEqual(before)
  expect(Date.parse(last_connected)).toBeLessThanOrEqual(Date.now())
  await agent.leave()
  await becomes('inactive')
  expect(await shown()).toMatchObject({ last_connected })
})

it('it is active as long as one of several agents is there', async () => {
  const [one, other] = [await tunnel.connect(), await tunnel.connect()]
  await becomes('active')
  await one.leave()
  expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
  await becomes('active')
  await other.leave()
  await becomes('inactive')
})

it('it is inactive within 10 s where its agent does not answer any more', { timeout: 30_000 }, async () => {
  const command = await tunnel.command()
  await becomes('active')
  process.kill(command.pid, 'SIGSTOP')
  const since = performance.now()
  await expect.poll(async () => (await shown()).status, { timeout: 15_000 }).toBe('inactive')
  expect(performance.now() - since).toBeLessThan(10_000)
  expect((await tunnel.visitor.get('/hello')).status).toBe(502)
  await command.kill()
})

it('events tell who connected what, with what, and why it went', async () => {
  const observer = await stack.observe()
  const { id, key } = await accounts.key(tunnel.owner.token)
  const agent = await tunnel.connect({ credential: key })
  const { connectionId } = await agent.event('connected')
  const isOurs = (what: string) => (event: SeenEvent) =>
    event.subject === `instatunnel.events.tunnel.${what}` && event.data.connection_id === connectionId
  const who = { tunnel_id: tunnel.id, user_id: tunnel.owner.id, connection_id: connectionId }
  const connected = await observer.event(isOurs('connected'))
  expect(connected.data).toMatchObject({ ...who, credential_type: 'api_key', credential_id: id })
  await stack.call('DELETE', `/v1/auth/keys/${id}`, { token: tunnel.owner.token })
  const { data } = await observer.event(isOurs('disconnected'))
  expect(data).toMatchObject({ ...who, reason: 'key_revoked' })
  expect(JSON.stringify([connected.data, data])).not.toContain(key)
})
