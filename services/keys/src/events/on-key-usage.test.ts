import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'
import { type Tell, tellerOf } from '../../test/teller.ts'

const nats = await freshNats()
const keys = await startKeys({ NATS_URL: nats.url, NATS_SEED: nats.seeds.keys })
afterAll(() => keys.close())

const user = keys.user()
const use = (id: string, count: unknown, last: unknown = '2026-01-01T00:00:00.000Z') => ({
  key_id: id,
  count,
  last,
})
let told = 0
const tellUsage = (tell: Tell, uses: unknown, id = `evt_${told++}`, delivery = id) =>
  tell('usage.key', id, { uses }, delivery)

/** A key's counts, once every batch told so far has been acted on. */
async function countsOf(tell: Tell, id: string) {
  const last = await made(user)
  await tellUsage(tell, [use(last.id, 1)])
  await expect
    .poll(async () => (await user.getKey({ id: last.id })).requestCount, { timeout: 10_000 })
    .toBe(1)
  return user.getKey({ id })
}

describe('usage.key', () => {
  it("adds each batch to its keys' counts", async () => {
    const tell = await tellerOf(nats)
    const [a, b] = [await made(user), await made(user)]
    const [at, later] = ['2026-02-01T10:00:00.000Z', '2026-02-01T10:00:01.500Z']
    await tellUsage(tell, [use(a.id, 2, at), use(b.id, 1, at), use(a.id, 3, later)])
    await tellUsage(tell, [use(a.id, 1, at)])
    const when = new Date(later)
    expect(await countsOf(tell, a.id)).toMatchObject({
      requestCount: 6,
      lastRequest: when,
      lastUsed: when,
      lastUsedAt: when,
      updatedAt: a.key.updatedAt,
    })
    expect(await countsOf(tell, b.id)).toMatchObject({ requestCount: 1, lastRequest: new Date(at) })
  })

  it('counts a batch that is delivered again once', async () => {
    const tell = await tellerOf(nats)
    const { id } = await made(user)
    for (const delivery of ['one', 'two', 'three']) await tellUsage(tell, [use(id, 7)], 'evt_again', delivery)
    expect((await countsOf(tell, id)).requestCount).toBe(7)
  })

  it('tells when the old secret was last used, since it was replaced', async () => {
    const tell = await tellerOf(nats)
    const { id } = await made(user)
    const { apiKey } = await user.rotateKey({ id, gracePeriod: 3600 })
    const rotatedAt = Number(apiKey?.oldSecret?.rotatedAt)
    const useOfOld = (ms: number) => {
      const at = new Date(rotatedAt + ms)
      return { ...use(id, 1, at.toISOString()), last_with_old_secret: at.toISOString() }
    }
    const lastUsedAt = async () => (await countsOf(tell, id)).oldSecret?.lastUsedAt
    await tellUsage(tell, [use(id, 1, new Date(rotatedAt + 9000).toISOString())])
    expect(await lastUsedAt()).toBeUndefined()
    await tellUsage(tell, [useOfOld(2000), useOfOld(3000), useOfOld(1000)])
    expect(await lastUsedAt()).toEqual(new Date(rotatedAt + 3000))
    // Late, and out of order.
    await tellUsage(tell, [useOfOld(2500)])
    expect(await lastUsedAt()).toEqual(new Date(rotatedAt + 3000))
    expect(await countsOf(tell, id)).toMatchObject({
      requestCount: 5,
      lastRequest: new Date(rotatedAt + 9000),
    })

    // Another rotation: what is told of the one before says nothing of the secret that is old now.
    await user.rotateKey({ id, gracePeriod: 3600 })
    await tellUsage(tell, [useOfOld(-1000)])
    expect(await lastUsedAt()).toBeUndefined()
    await user.endGracePeriod({ id })
    await tellUsage(tell, [useOfOld(5000)])
    expect(await lastUsedAt()).toBeUndefined()
    await user.rotateKey({ id, gracePeriod: 3600 })
    expect(await lastUsedAt()).toBeUndefined()
  })

  it('is exact to 2^53', async () => {
    const tell = await tellerOf(nats)
    const { id } = await made(user)
    await tellUsage(tell, [use(id, 2 ** 53 - 1)])
    await tellUsage(tell, [use(id, 1)])
    expect((await countsOf(tell, id)).requestCount).toBe(2 ** 53)
  })

  it('lets no malformed batch hold up those after it', async () => {
    const tell = await tellerOf(nats)
    const { id } = await made(user)
    const malformed = [
      'none',
      undefined,
      [null, 1, 'x', [], {}],
      [use('key_\0', 1), use('', 1), use('key_01h00000000000000000000000', 1)],
      [use(id, -5), use(id, 0), use(id, 'NaN'), use(id, 1e300), use(id, null), use(id, {})],
      [use(id, 1, 'yesterday'), use(id, 1, null)],
      [
        { ...use(id, -1), last_with_old_secret: {} },
        { ...use(id, 0), last_with_old_secret: 'never' },
      ],
    ]
    for (const uses of malformed) await tellUsage(tell, uses)
    for (const data of [null, [], 'text']) await tell('usage.key', `evt_${told++}`, JSON.stringify(data))
    await tell('usage.key', `evt_${told++}`, '{ no JSON')
    await tellUsage(tell, [use(id, 1)])
    expect(await countsOf(tell, id)).toMatchObject({ requestCount: 1 })
  })
})
