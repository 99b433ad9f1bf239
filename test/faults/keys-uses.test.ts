import { type Account, type Accounts, accountsOf, bodyOf, type MadeKey } from '@instatunnel/test/accounts'
import { atOnce, underLoad } from '@instatunnel/test/load'
import type { Answer } from '@instatunnel/test/rest-client'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** What a key may be used for is never exceeded, and never refused while it is there: over two replicas, with kills. */

const PARTS = ['auth', 'keys', 'nats'] as const
const admin = { email: 'root@example.com', password: 'a long admin password' }
let stack: TestStack
let accounts: Accounts
let owner: Account

beforeAll(async () => {
  stack = await startTestStack({
    settings: {
      INSTATUNNEL_REPLICAS: '2',
      INSTATUNNEL_ADMIN_EMAIL: admin.email,
      INSTATUNNEL_ADMIN_PASSWORD: admin.password,
    },
  })
  accounts = accountsOf(stack.call)
  owner = await accounts.login(admin)
})
afterAll(() => stack.stop())

/** A key that counts its uses, as only an admin makes one. */
const metered = (fields: object) => accounts.key(owner.token, { permissions: ['tunnels:read'], ...fields })
const use = ({ key }: MadeKey) => stack.call('GET', '/v1/tunnels', { token: key })
const shown = async ({ id }: MadeKey) =>
  bodyOf(await stack.call('GET', `/v1/auth/keys/${id}`, { token: owner.token }))
const admittedOf = (answers: readonly (Answer | Error)[]) =>
  answers.filter((answer) => !(answer instanceof Error) && answer.status === 200).length
const statuses = (answers: readonly Answer[]) => [...new Set(answers.map(({ status }) => status))].sort()

/** Ends a part as a crash would, and starts it again. */
async function crash(part: (typeof PARTS)[number]) {
  if (part === 'nats') {
    await stack.nats.kill()
    await stack.nats.start()
    return
  }
  await stack.service(part).kill()
  await stack.service(part).start()
}

describe('over two replicas', () => {
  it('a key with 100 uses left admits exactly 100 of 1,000 calls at once', async () => {
    const key = await metered({ remaining: 100 })
    const answers = await atOnce(1000, () => use(key))
    expect(statuses(answers)).toEqual([200, 429])
    expect(admittedOf(answers)).toBe(100)
    const refused = answers.find(({ status }) => status === 429)
    expect(refused?.body).toMatchObject({ error: 'usage_exceeded', code: 4030 })
    expect(refused?.headers).not.toHaveProperty('retry-after')
    await expect
      .poll(() => shown(key), { timeout: 10_000 })
      .toMatchObject({ remaining: 0, request_count: 100 })
  })

  it('a window of 10 admits exactly 10 of 200 calls at once, and tells when there is room again', async () => {
    const key = await metered({ rate_limit_max: 10, rate_limit_time_window: 60_000 })
    const answers = await atOnce(200, () => use(key))
    expect(statuses(answers)).toEqual([200, 429])
    expect(admittedOf(answers)).toBe(10)
    const refused = answers.find(({ status }) => status === 429)
    expect(refused?.body).toMatchObject({
      error: 'rate_limited',
      code: 4029,
      retry_after: expect.any(Number),
    })
    expect(Number(refused?.headers['retry-after'])).toBeLessThanOrEqual(60)
  })

  it('a use that one replica holds is not refused by the other', async () => {
    for (let round = 0; round < 10; round++) {
      const key = await metered({ remaining: 7 })
      const answers: Answer[] = []
      for (let call = 0; call < 9; call++) answers.push(await use(key))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200, 200, 429, 429])
    }
  })

  it('what is leased and not used is back within five seconds', async () => {
    const key = await metered({ remaining: 1000 })
    await atOnce(20, () => use(key))
    await expect.poll(() => shown(key), { timeout: 5000 }).toMatchObject({ remaining: 980 })
    expect((await shown(key)).request_count).toBe(20)
  })
})

describe.each(PARTS)('while %s crashes', (part) => {
  it('no more is admitted than remains, and the key is there', async () => {
    const key = await metered({ remaining: 600 })
    const load = underLoad(16, () => use(key))
    await load.answered(150)
    await crash(part)
    await stack.gateway.healthy()
    const before = await load.stop()
    // Until nothing is left: what a replica held that was killed is lost, everything else is not.
    const after = await usedUp(key)
    const admitted = admittedOf(before) + admittedOf(after)
    expect(admitted).toBeLessThanOrEqual(600)
    if (part === 'nats') expect(admitted).toBe(600)
    expect(admitted).toBeGreaterThan(150 - 16)
    await expect.poll(() => shown(key), { timeout: 15_000 }).toMatchObject({ remaining: 0, state: 'active' })
  })

  it('no more is admitted than a window allows', async () => {
    const key = await metered({ rate_limit_max: 200, rate_limit_time_window: 3_600_000 })
    const load = underLoad(16, () => use(key))
    await load.answered(60)
    await crash(part)
    await stack.gateway.healthy()
    const before = await load.stop()
    const after = await usedUp(key)
    expect(admittedOf(before) + admittedOf(after)).toBeLessThanOrEqual(200)
  })

  it('what was counted is counted once', async () => {
    const observer = await stack.observe()
    const key = await accounts.key(owner.token, { permissions: ['tunnels:read'] })
    const load = underLoad(8, () => use(key))
    await load.answered(200)
    await crash(part)
    await stack.gateway.healthy()
    await load.answered(200)
    const admitted = admittedOf(await load.stop())
    const told = () =>
      observer.events
        .filter(({ subject }) => subject.endsWith('usage.key'))
        .flatMap(({ data }) => (data as { uses: { key_id: string; count: number }[] }).uses)
        .filter(({ key_id }) => key_id === key.id)
        .reduce((sum, { count }) => sum + count, 0)
    // A replica that is killed takes with it what it had not told yet: a second's calls at most.
    if (part !== 'auth') await expect.poll(told, { timeout: 15_000 }).toBeGreaterThanOrEqual(admitted)
    await expect.poll(async () => (await shown(key)).request_count, { timeout: 15_000 }).toBe(told())
  })
})

/** Uses a key until it says that nothing is left, whatever else it is told meanwhile. */
async function usedUp(key: MadeKey): Promise<Answer[]> {
  const answers: Answer[] = []
  const enough = ({ status }: Answer) => status === 429
  while (!answers.some(enough)) answers.push(...(await atOnce(8, () => use(key))))
  return answers
}
