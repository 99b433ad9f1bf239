import { once } from 'node:events'
import { Agent } from 'node:http'
import { type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { atOnce } from '@instatunnel/test/load'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

/** What passes is counted, each request and each byte once, and shown within 10 s. */

let stack: TestStack
let accounts: Accounts
let open: OpenTunnel
const connections = new Agent({ keepAlive: true, maxSockets: 50 })
beforeAll(async () => {
  stack = await startTestStack()
  accounts = accountsOf(stack.call)
})
beforeEach(async () => {
  open = await openTunnel(stack, accounts)
  return () => open.close()
})
afterAll(async () => {
  connections.destroy()
  await stack?.stop()
})

const stats = async () =>
  bodyOf(await stack.call('GET', `/v1/tunnels/${open.id}/stats`, { token: open.owner.token }))
const user = async () => bodyOf(await stack.call('GET', '/v1/auth/user', { token: open.owner.token }))
/** Resolves once it is shown, in at most 10 s; and then no more of it comes. */
const isShown = async (total: object) => {
  await expect.poll(async () => (await stats()).total, { timeout: 10_000 }).toMatchObject(total)
  // Another tunnel's usage, of later, has come: so has all of this one's.
  const later = await openTunnel(stack, accounts, open.owner)
  await later.visitor.get('/hello')
  const path = `/v1/tunnels/${later.id}/stats`
  const ofLater = async () => bodyOf(await stack.call('GET', path, { token: open.owner.token })).total
  await expect.poll(ofLater, { timeout: 10_000 }).toMatchObject({ requests: 1 })
  expect((await stats()).total).toMatchObject(total)
  await later.close()
}

const download = (bytes: number) => open.visitor.get(`/bytes?size=${bytes}`, { agent: connections })
const upload = (bytes: number) =>
  open.visitor.get('/sum', { method: 'POST', body: 'x'.repeat(bytes), agent: connections })

it('is exact under load', async () => {
  const downloads = atOnce(300, (index) => download(1000 + index))
  const uploads = atOnce(300, (index) => upload(500 + index))
  const failures = atOnce(100, (index) =>
    open.visitor.get(`/status?is=${[404, 302, 500][index % 3]}`, { agent: connections }),
  )
  await Promise.all([downloads, failures])
  const sums = await uploads
  const sent = sums.reduce((bytes, _, index) => bytes + 500 + index, 0)
  const answered = (await downloads).reduce((bytes, { body }) => bytes + body.length, 0)
  expect(answered).toBe(300 * 1000 + (299 * 300) / 2)
  const told = sums.reduce((bytes, { body }) => bytes + body.length, 0)

  const total = {
    requests: 700,
    bytes_in: sent,
    bytes_out: answered + told,
    status: { status_1xx: 0, status_2xx: 600, status_3xx: 33, status_4xx: 34, status_5xx: 33 },
    latency_ms: { p50: expect.any(Number), p95: expect.any(Number), p99: expect.any(Number) },
  }
  await isShown(total)
  const { minutes, days } = await stats()
  const sum = (periods: { requests: number; bytes_in: number; bytes_out: number }[]) =>
    periods.reduce(
      (all, { requests, bytes_in, bytes_out }) => ({
        requests: all.requests + requests,
        bytes_in: all.bytes_in + bytes_in,
        bytes_out: all.bytes_out + bytes_out,
      }),
      { requests: 0, bytes_in: 0, bytes_out: 0 },
    )
  const { requests, bytes_in, bytes_out } = total
  for (const series of [minutes, days]) expect(sum(series)).toEqual({ requests, bytes_in, bytes_out })

  // With the one that the sum of all tunnels was waited for by.
  const bytes = bytes_in + bytes_out + 'hello'.length
  expect((await user()).usage).toEqual({
    tunnels_created: 2,
    data_transferred: `${(bytes / 1e3).toFixed(1)} kB`,
    data_transferred_bytes: bytes,
    requests_served: 701,
  })
})

it('counts a WebSocket as one request, and all that passes', async () => {
  const theirs = open.site.socket()
  const ours = open.visitor.webSocket('/ws')
  await once(ours, 'open')
  await theirs
  for (let i = 0; i < 10; i++) {
    const echo = once(ours, 'message')
    ours.send('x'.repeat(100))
    await echo
  }
  const closed = once(ours, 'close')
  ours.close(1000)
  await closed
  // Frames of 100 bytes: with a mask two, four and a hundred, without one two and a hundred; a close has a code.
  await isShown({
    requests: 1,
    bytes_in: 10 * 106 + 8,
    bytes_out: 10 * 102 + 4,
    status: { status_1xx: 1, status_2xx: 0, status_3xx: 0, status_4xx: 0, status_5xx: 0 },
  })
})

it('counts what a visitor got of an answer that broke off, and where no local server answered', async () => {
  await expect(open.visitor.get('/break')).rejects.toThrow()
  await open.site.close()
  expect((await open.visitor.get('/hello')).status).toBe(502)
  await isShown({
    requests: 2,
    bytes_out: 'half'.length,
    status: { status_1xx: 0, status_2xx: 1, status_3xx: 0, status_4xx: 0, status_5xx: 1 },
  })
})

it('loses nothing where the relay is restarted', { timeout: 60_000 }, async () => {
  const before = open.agent.events.length
  await atOnce(200, () => download(1000))
  await stack.service('relay').restart()
  await open.agent.event('connected', before)
  await stack.gateway.healthy()
  await atOnce(100, () => download(1000))
  await isShown({ requests: 300, bytes_out: 300_000 })
})
