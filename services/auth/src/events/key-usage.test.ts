import { connectPath } from '@instatunnel/kit/connect-request'
import { connectNats } from '@instatunnel/kit/jetstream'
import { digestOf } from '@instatunnel/kit/secret'
import { freshNats } from '@instatunnel/test/nats'
import type { Observer } from '@instatunnel/test/observer'
import { pino } from 'pino'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { changeKey } from '../../test/change.ts'
import { startAuth } from '../../test/start-auth.ts'
import { startKeyUsage } from './key-usage.ts'

const server = await freshNats()
const log = pino({ level: 'silent' })
const NOW = new Date('2026-07-01T12:00:00.123Z')
const at = (ms: number) => new Date(NOW.getTime() + ms)
const nats = connectNats({ url: server.url, seed: server.seeds.auth, name: 'auth', log })
afterAll(() => nats.close())

function open() {
  const usage = startKeyUsage({ nats, log, now: () => NOW })
  onTestFinished(() => usage.close())
  return usage
}

interface Use {
  key_id: string
  count: number
  last: string
  last_with_old_secret?: string
}
/** What was told of some keys, batch by batch. */
const told = (observer: Observer, keyIds: readonly string[]): Use[][] =>
  observer.events
    .filter(({ subject }) => subject === 'instatunnel.events.usage.key')
    .map(({ data }) => (data.uses as Use[]).filter((use) => keyIds.includes(use.key_id)))
    .filter((uses) => uses.length > 0)
const countOf = (observer: Observer, keyId: string) =>
  told(observer, [keyId])
    .flat()
    .reduce((sum, { count }) => sum + count, 0)

describe('startKeyUsage', () => {
  it('tells in one batch what each key admitted since the batch before, and when last', async () => {
    const observer = await server.observe()
    const usage = open()
    usage.used({ id: 'key_a' }, at(0))
    usage.used({ id: 'key_b' }, at(1))
    usage.used({ id: 'key_a' }, at(2))
    const event = await observer.event(({ data }) => data.uses?.[0]?.key_id === 'key_a')
    expect(event).toMatchObject({
      stream: 'INSTATUNNEL_USAGE',
      subject: 'instatunnel.events.usage.key',
      id: expect.stringMatching(/^evt_/),
      headers: { 'ce-source': '/instatunnel/auth', 'ce-time': NOW.toISOString() },
      data: {
        uses: [
          { key_id: 'key_a', count: 2, last: at(2).toISOString() },
          { key_id: 'key_b', count: 1, last: at(1).toISOString() },
        ],
      },
    })
    usage.used({ id: 'key_a' }, at(3))
    await expect
      .poll(() => told(observer, ['key_a']), { timeout: 5000 })
      .toEqual([
        [{ key_id: 'key_a', count: 2, last: at(2).toISOString() }],
        [{ key_id: 'key_a', count: 1, last: at(3).toISOString() }],
      ])
  })

  it('tells apart when a key was last used by its old secret', async () => {
    const observer = await server.observe()
    const usage = open()
    usage.used({ id: 'key_f', deprecatedAt: at(-1000) }, at(0))
    usage.used({ id: 'key_f' }, at(1))
    usage.used({ id: 'key_g' }, at(2))
    const [first] = await expect
      .poll(() => told(observer, ['key_f', 'key_g']), { timeout: 5000 })
      .not.toHaveLength(0)
      .then(() => told(observer, ['key_f', 'key_g']))
    expect(first).toEqual([
      { key_id: 'key_f', count: 2, last: at(1).toISOString(), last_with_old_secret: at(0).toISOString() },
      { key_id: 'key_g', count: 1, last: at(2).toISOString() },
    ])
  })

  it('tells what is left when it is closed, and then nothing twice', async () => {
    const observer = await server.observe()
    const usage = open()
    usage.used({ id: 'key_c' }, at(0))
    await usage.close()
    await observer.event(({ data }) => data.uses?.[0]?.key_id === 'key_c')
    await usage.close()
    const other = open()
    other.used({ id: 'key_d' }, at(0))
    await observer.event(({ data }) => data.uses?.[0]?.key_id === 'key_d')
    expect(countOf(observer, 'key_c')).toBe(1)
  })

  it('tells of more keys than fit into one message in several', async () => {
    const observer = await server.observe()
    const usage = open()
    const keyIds = Array.from({ length: 2500 }, (_, n) => `key_${String(n).padStart(26, '0')}`)
    for (const id of keyIds) usage.used({ id }, at(0))
    const counted = () => told(observer, keyIds).map(({ length }) => length)
    await expect.poll(counted, { timeout: 10_000 }).toEqual([1000, 1000, 500])
  })

  it('loses no use and counts none twice while NATS is away', async () => {
    const observer = await server.observe()
    const usage = open()
    usage.used({ id: 'key_e' }, at(0))
    await observer.event(({ data }) => data.uses?.[0]?.key_id === 'key_e')
    await server.kill()
    const until = Date.now() + 3500 // long enough that a batch is tried, and tried again, in vain
    let uses = 1
    while (Date.now() < until) {
      usage.used({ id: 'key_e' }, at(uses++))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await server.start()
    const last = at(uses - 1).toISOString()
    await expect.poll(() => told(observer, ['key_e']).flat().at(-1)?.last, { timeout: 15_000 }).toBe(last)
    expect(countOf(observer, 'key_e')).toBe(uses)
    const ids = observer.events.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  }, 40_000)
})

describe('the uses that auth tells', () => {
  it('are those calls and connects that were admitted by a key, and VerifyKey where it said VALID', async () => {
    const observer = await server.observe()
    const auth = await startAuth({
      NATS_URL: server.url,
      NATS_SEED: server.seeds.auth,
      LIMIT_READ_PER_MINUTE: '3',
    })
    onTestFinished(() => auth.close())
    const { id, token } = await auth.register()
    const { secret, key } = auth.neighbours.addKey({ userId: id, permissions: ['tunnels:read'] })
    const listTunnels = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
    const listKeys = '/instatunnel.keys.v1.ApiKeyService/ListKeys'
    const verify = (permissions: string[]) =>
      auth.internal.verifyKey({ digest: digestOf(secret), permissions })

    await auth.check(listTunnels, { bearer: secret }) // 1
    await auth.check(listKeys, { bearer: secret }) // lacks the scope
    await auth.check(listTunnels, { bearer: token }) // no key
    await auth.check(listTunnels, { bearer: secret }) // 2
    await auth.check(listTunnels, { bearer: secret }) // past the limit
    await verify(['tunnels:read']) // 3
    const connecting = auth.neighbours.addKey({ userId: id, permissions: ['tunnels:write'] })
    const { tunnelId } = auth.neighbours.addTunnel({ userId: id })
    const connect = (to: string) =>
      auth.check(connectPath(to), { access: 'connect', bearer: connecting.secret })
    await connect(tunnelId) // 1 of the other key
    await connect('tun_01h00000000000000000000000') // no tunnel
    await verify(['keys:manage']) // lacks the scope
    await changeKey(auth, key, { enabled: false })
    await auth.check(listTunnels, { bearer: secret }) // disabled
    await verify([])
    await expect.poll(() => countOf(observer, key.id), { timeout: 5000 }).toBe(3)
    await auth.close()
    expect(countOf(observer, key.id)).toBe(3)
    expect(countOf(observer, connecting.key.id)).toBe(1)
  })
})
