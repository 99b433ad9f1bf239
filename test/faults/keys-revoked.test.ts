import { type Account, type Accounts, accountsOf, bodyOf, type MadeKey } from '@instatunnel/test/accounts'
import { atOnce, underLoad } from '@instatunnel/test/load'
import type { Answer } from '@instatunnel/test/rest-client'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** A revoked key is refused everywhere, at once: over two replicas, under load, and while parts crash. */

const LATE_MS = 250
let stack: TestStack
let accounts: Accounts
let owner: Account

beforeAll(async () => {
  stack = await startTestStack({ settings: { INSTATUNNEL_REPLICAS: '2' } })
  accounts = accountsOf(stack.call)
  owner = await accounts.register()
})
afterAll(() => stack.stop())

interface Timed {
  readonly begunAt: number
  readonly endedAt: number
  readonly status: number
}

/** Calls with a key, and when. */
async function use({ key }: MadeKey): Promise<Timed> {
  const begunAt = performance.now()
  const { status } = await stack.call('GET', '/v1/tunnels', { token: key })
  return { begunAt, endedAt: performance.now(), status }
}

const remove = ({ id }: MadeKey) => stack.call('DELETE', `/v1/auth/keys/${id}`, { token: owner.token })
const isTimed = (answer: Timed | Error): answer is Timed => !(answer instanceof Error)

/** Revokes a key that is in use, and gives what was answered to those that use it. */
async function revokeInUse(key: MadeKey, meanwhile: () => Promise<unknown> = async () => {}) {
  const load = underLoad(2, () => use(key))
  await load.answered(6)
  const [answer] = await Promise.all([remove(key), meanwhile()])
  const revokedAt = performance.now()
  await load.answered(6)
  const answers = (await load.stop()).filter(isTimed)
  return {
    answer,
    revokedAt,
    late: answers.filter(({ status, begunAt }) => status === 200 && begunAt > revokedAt),
    answers,
  }
}

describe('a key that is deleted in use', () => {
  it('admits nobody from when that is answered, 200 times over', async () => {
    for (let batch = 0; batch < 25; batch++) {
      await atOnce(8, async () => {
        const key = await accounts.key(owner.token, { permissions: ['tunnels:read'] })
        const { answer, late, answers } = await revokeInUse(key)
        expect(bodyOf(answer)).toMatchObject({
          success: true,
          connections_cut: 0,
          replicas_acked: 2,
          replicas_total: 2,
          took_ms: expect.any(Number),
          tunnels: [],
        })
        expect(bodyOf(answer).took_ms).toBeLessThan(1000)
        expect(late).toEqual([])
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 401]))
      })
    }
  }, 120_000)

  it('works again when it is restored, and not when it leaked', async () => {
    const key = await accounts.key(owner.token, { permissions: ['tunnels:read'] })
    const restore = () =>
      stack.call('POST', `/v1/auth/keys/${key.id}/restore`, { token: owner.token, body: {} })
    await atOnce(8, () => use(key))
    bodyOf(await remove(key))
    for (const { status } of await atOnce(8, () => use(key))) expect(status).toBe(401)
    expect(bodyOf(await restore())).toMatchObject({ id: key.id, state: 'active' })
    for (const { status } of await atOnce(8, () => use(key))) expect(status).toBe(200)
    const leaked = `/v1/auth/keys/${key.id}?reason=leaked`
    bodyOf(await stack.call('DELETE', leaked, { token: owner.token }))
    expect(await restore()).toMatchObject({ status: 409, body: { error: 'conflict' } })
    for (const { status } of await atOnce(8, () => use(key))) expect(status).toBe(401)
  })

  it('is refused, disabled, and admitted, enabled, by both replicas as soon as that is answered', async () => {
    const key = await accounts.key(owner.token, { permissions: ['tunnels:read'] })
    for (let round = 0; round < 20; round++) {
      const enabled = round % 2 === 1
      const patched = await stack.call('PATCH', `/v1/auth/keys/${key.id}`, {
        token: owner.token,
        body: { enabled },
      })
      expect(bodyOf(patched)).toMatchObject({ enabled })
      for (const { status } of await atOnce(6, () => use(key))) expect(status).toBe(enabled ? 200 : 401)
    }
  })

  it('a session that ends is refused by both replicas at once, and so is its key', async () => {
    for (let round = 0; round < 10; round++) {
      const session = await accounts.login(owner)
      const call = (token: string): Promise<Answer> => stack.call('GET', '/v1/tunnels', { token })
      for (const { status } of await atOnce(6, () => call(session.token))) expect(status).toBe(200)
      for (const { status } of await atOnce(6, () => call(session.apiKey))) expect(status).toBe(200)
      bodyOf(await stack.call('POST', '/v1/auth/logout', { token: session.token, body: {} }))
      for (const { status } of await atOnce(6, () => call(session.token))) expect(status).toBe(401)
      for (const { status } of await atOnce(6, () => call(session.apiKey))) expect(status).toBe(401)
    }
  })
})

describe('a key that is deleted while a part crashes', () => {
  it.each(['auth', 'keys'] as const)('is refused from when that is answered: %s is killed', async (part) => {
    const key = await accounts.key(owner.token, { permissions: ['tunnels:read'] })
    const { answer, revokedAt, answers } = await revokeInUse(key, () => stack.service(part).kill())
    await stack.service(part).start()
    await stack.gateway.healthy()
    // It may have been cut off in between: then it is asked again.
    if (answer.status !== 200) expect([200, 404], answer.text).toContain((await remove(key)).status)
    else {
      const late = answers.filter(({ status, begunAt }) => status === 200 && begunAt > revokedAt + LATE_MS)
      expect(late).toEqual([])
    }
    for (const { status } of await atOnce(8, () => use(key))) expect(status).toBe(401)
  })

  it('is refused within five seconds where NATS is away, and the receipt says that nobody was told', async () => {
    const key = await accounts.key(owner.token, { permissions: ['tunnels:read'] })
    const load = underLoad(4, () => use(key))
    await load.answered(20)
    await stack.nats.kill()
    const answer = bodyOf(await remove(key))
    const revokedAt = performance.now()
    expect(answer).toMatchObject({ success: true, replicas_acked: 0 })
    await expect.poll(async () => (await use(key)).status, { timeout: 10_000 }).toBe(401)
    const answers = (await load.stop()).filter(isTimed)
    await stack.nats.start()
    expect(answers.filter(({ status, begunAt }) => status === 200 && begunAt > revokedAt + 5000)).toEqual([])
    await expect.poll(async () => (await use(key)).status, { timeout: 10_000 }).toBe(401)
  })
})
