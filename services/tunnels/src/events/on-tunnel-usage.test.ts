import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId } from '@instatunnel/kit/id'
import { portOrFree } from '@instatunnel/local/ports'
import { startProcess } from '@instatunnel/local/process'
import { serverBinary } from '@instatunnel/local/server-binary'
import { jetstream } from '@nats-io/jetstream'
import { connect, headers } from '@nats-io/transport-node'
import { afterAll, describe, expect, it } from 'vitest'
import { startTunnels } from '../../test/start-tunnels.ts'

// A NATS that asks for no user: the relay, which tells usage, has none yet.
const storeDir = await mkdtemp(join(tmpdir(), 'instatunnel-usage-'))
const port = await portOrFree(0)
const server = await startProcess({
  name: 'nats',
  command: await serverBinary('nats-server'),
  args: ['--addr', '127.0.0.1', '--port', String(port), '--jetstream', '--store_dir', storeDir],
})
const nats = await connect({ servers: `127.0.0.1:${port}`, waitOnFirstConnect: true, reconnectTimeWait: 50 })
const tunnels = await startTunnels({ NATS_URL: `nats://127.0.0.1:${port}`, NATS_SEED: '' })
afterAll(async () => {
  await tunnels.close()
  await nats.close()
  await server.stop()
  await rm(storeDir, { recursive: true, force: true })
})

const newUser = () => newId('user_', new Date())

/** Tells usage as the relay does; a delivery is known by its message id, the event by its ce-id. */
async function tell(id: string, delivery: string, data: unknown) {
  const head = headers()
  head.set('ce-id', id)
  head.set('ce-time', new Date().toISOString())
  const options = { msgID: delivery, headers: head }
  await expect
    .poll(
      () =>
        jetstream(nats)
          .publish('instatunnel.events.usage.tunnel', JSON.stringify(data), options)
          .then(({ stream }) => stream, String),
      { timeout: 10_000 },
    )
    .toBe('INSTATUNNEL_USAGE')
}

const use = (userId: string, requests: unknown, bytes: unknown) => ({
  tunnel_id: 'tun_01h00000000000000000000000',
  user_id: userId,
  requests,
  bytes,
})

/** A user's totals, once every batch told so far has been acted on. */
async function totalsOf(userId: string) {
  const last = newUser()
  const id = newId('evt_', new Date())
  await tell(id, id, { uses: [use(last, 1, 1)] })
  await expect
    .poll(async () => (await tunnels.directory.getUsage({ userId: last })).requestsServed, {
      timeout: 10_000,
    })
    .toBe(1)
  const { requestsServed, dataTransferredBytes } = await tunnels.directory.getUsage({ userId })
  return [requestsServed, dataTransferredBytes]
}

describe('usage.tunnel', () => {
  it("adds each batch to its users' totals", async () => {
    const [a, b] = [newUser(), newUser()]
    await tell('evt_1', 'evt_1', { uses: [use(a, 2, 2_400_000_000), use(b, 1, 10), use(a, 3, 5)] })
    await tell('evt_2', 'evt_2', { uses: [use(a, 1, 1)] })
    expect(await totalsOf(a)).toEqual([6, 2_400_000_006])
    expect(await totalsOf(b)).toEqual([1, 10])
  })

  it('counts a batch that is delivered again once', async () => {
    const user = newUser()
    for (let delivery = 0; delivery < 3; delivery++) {
      await tell('evt_again', `delivery-${delivery}`, { uses: [use(user, 7, 70)] })
    }
    expect(await totalsOf(user)).toEqual([7, 70])
  })

  it('is exact to 2^53', async () => {
    const user = newUser()
    await tell('evt_big', 'evt_big', { uses: [use(user, 1, Number.MAX_SAFE_INTEGER - 1)] })
    await tell('evt_one', 'evt_one', { uses: [use(user, 1, 1)] })
    expect(await totalsOf(user)).toEqual([2, Number.MAX_SAFE_INTEGER])
  })

  it('lets no malformed batch hold up those after it', async () => {
    const user = newUser()
    const malformed = [
      { uses: [use('nul\0byte', 1, 1), use('', 1, 1), use(user, -5, 'Infinity'), use(user, 'NaN', 1e300)] },
      { uses: 'none' },
      { uses: [1, 'x', {}] },
      {},
      [],
      null,
    ]
    for (const [i, data] of malformed.entries()) await tell(`evt_bad_${i}`, `evt_bad_${i}`, data)
    await tell('evt_good', 'evt_good', { uses: [use(user, 1, 1)] })
    expect(await totalsOf(user)).toEqual([1, 1])
  })
})
