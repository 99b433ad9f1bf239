import { freshNats } from '@instatunnel/test/nats'
import { refused } from '@instatunnel/test/refused'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { type AuthReplica, startReplica } from '../../test/auth-replica.ts'
import { made } from '../../test/made.ts'
import { newSessionId, startKeys } from '../../test/start-keys.ts'
import { tellerOf } from '../../test/teller.ts'

const nats = await freshNats()
const keys = await startKeys({ NATS_URL: nats.url, NATS_SEED: nats.seeds.keys })
afterAll(() => keys.close())
const within = { timeout: 15_000 }

let replicas: AuthReplica[]
beforeEach(async () => {
  replicas = ['auth_a', 'auth_b'].map((name) => startReplica(nats, name))
  await livingAre(2)
})

/** Resolves once the service knows of so many living replicas, and that there are no others. */
async function livingAre(count: number) {
  const user = keys.user()
  const receipt = async () => {
    const { replicasAcked, replicasTotal } = await user.deleteKey({ id: (await made(user)).id })
    return [replicasAcked, replicasTotal]
  }
  await expect.poll(receipt, within).toEqual([count, count])
  for (const replica of replicas) replica.forgotten.length = 0
}

/** What both replicas were told to forget by the time that a call was answered. */
async function forgottenBy(call: () => Promise<unknown>) {
  for (const replica of replicas) replica.forgotten.length = 0
  await call()
  const [a, b] = replicas.map(({ forgotten }) => [...forgotten])
  expect(a).toEqual(b)
  return a
}

describe('each change of a key', () => {
  it('is known to every replica of auth when it is answered', async () => {
    const user = keys.user()
    expect(await forgottenBy(() => made(user))).toEqual([])
    const { id } = await made(user)
    const only = [{ keys: [id] }]
    const withRefusals = [{ keys: [id], refusals: true }]
    expect(await forgottenBy(() => user.updateKey({ id, name: 'x' }))).toEqual(only)
    expect(await forgottenBy(() => user.updateKey({ id, enabled: false }))).toEqual(only)
    expect(await forgottenBy(() => user.updateKey({ id, enabled: true }))).toEqual(withRefusals)
    expect(await forgottenBy(() => user.rotateKey({ id, gracePeriod: 60 }))).toEqual(only)
    expect(await forgottenBy(() => user.endGracePeriod({ id }))).toEqual(only)
    expect(await forgottenBy(() => user.deleteKey({ id }))).toEqual(only)
    expect(await forgottenBy(() => user.restoreKey({ id }))).toEqual(withRefusals)
    const reason = 'logout'
    expect(await forgottenBy(() => keys.directory.revokeKey({ keyId: id, reason }))).toEqual(only)
    expect(await forgottenBy(() => keys.directory.revokeKey({ keyId: id, reason }))).toEqual(only)
  })

  it('is, where what remains is set to what it is', async () => {
    const admin = keys.user({ role: 'admin' })
    const { id } = await made(admin, { remaining: 5 })
    expect(await forgottenBy(() => admin.updateKey({ id, remaining: 5 }))).toEqual([{ keys: [id] }])
  })

  it('is, also of a session, and where the session ends', async () => {
    const tell = await tellerOf(nats)
    const request = { sessionId: newSessionId(), userId: keys.user().id, permissions: ['logs:read'] }
    const { keyId } = await keys.directory.createSessionKey(request)
    expect(await forgottenBy(() => keys.directory.createSessionKey(request))).toEqual([{ keys: [keyId] }])
    await forgottenBy(async () => {})
    await tell('session.revoked', `evt_${keyId}`, { session_id: request.sessionId })
    for (const { forgotten } of replicas)
      await expect.poll(() => forgotten, within).toEqual([{ keys: [keyId] }])
  })

  it('bothers nobody where nothing changes, or the call is refused', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const calls = [
      () => user.updateKey({ id }),
      () => user.updateKey({ id, name: 'before' }),
      () => user.endGracePeriod({ id }),
      () => refused(user.restoreKey({ id })),
      () => refused(user.updateKey({ id, permissions: ['*'] })),
      () => refused(keys.user().deleteKey({ id })),
      () => refused(keys.user().rotateKey({ id })),
    ]
    for (const call of calls) expect(await forgottenBy(call)).toEqual([])
  })
})

describe("DeleteKey's receipt", () => {
  it('tells how many replicas there are, how many said so, and how long that took', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const receipt = await user.deleteKey({ id })
    expect(receipt).toEqual({
      success: true,
      connectionsCut: 0,
      replicasAcked: 2,
      replicasTotal: 2,
      tookMs: expect.any(Number),
      tunnels: [],
    })
    expect(receipt.tookMs).toBeGreaterThan(0)
    expect(receipt.tookMs).toBeLessThan(1000)
  })

  it('is given only once the key is revoked in the database', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const found: Promise<string>[] = []
    for (const replica of replicas) {
      replica.onForget = () => void found.push(user.getKey({ id }).then(({ state }) => state))
    }
    await user.deleteKey({ id })
    expect(await Promise.all(found)).toEqual(['revoked', 'revoked'])
  })

  it('waits a second for a replica that does not say so, and tells it; the key is revoked', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const [deaf] = replicas
    if (deaf) {
      deaf.onForget = () => {
        throw new Error('not now')
      }
    }
    const receipt = await user.deleteKey({ id })
    expect(receipt).toMatchObject({ success: true, replicasAcked: 1, replicasTotal: 2 })
    expect(receipt.tookMs).toBeGreaterThan(990)
    expect(receipt.tookMs).toBeLessThan(1500)
    expect((await user.getKey({ id })).state).toBe('revoked')
  })

  it('comes at once while NATS is away; the key is revoked', async () => {
    const user = keys.user()
    const [first, second] = [await made(user), await made(user)]
    await nats.kill()
    // It may take a moment to notice; then nobody is asked.
    await user.deleteKey({ id: first.id })
    const receipt = await user.deleteKey({ id: second.id })
    expect(receipt).toMatchObject({ success: true, replicasAcked: 0 })
    expect(receipt.tookMs).toBeLessThan(500)
    expect((await user.getKey({ id: second.id })).state).toBe('revoked')
    await nats.start()
    await livingAre(2)
  })
})
