import { type Accounts, accountsOf } from '@instatunnel/test/accounts'
import { expectError } from '@instatunnel/test/errors'
import { replicasMet } from '@instatunnel/test/replicas'
import type { Answer } from '@instatunnel/test/rest-client'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Two replicas of each service behind Envoy, which gives calls to one and to the other: they count as one. */

const limits = { auth: 5, read: 20, write: 8 }
const REPLICAS = 2

let stack: TestStack
let accounts: Accounts
let addresses = 0

/** Somewhere that nobody called from before. */
const newAddress = () => `198.51.100.${++addresses}`
const from = (address: string) => ({ 'x-forwarded-for': address })

beforeAll(async () => {
  stack = await startTestStack({
    settings: {
      INSTATUNNEL_REPLICAS: `${REPLICAS}`,
      LIMIT_AUTH_PER_MINUTE: `${limits.auth}`,
      LIMIT_READ_PER_MINUTE: `${limits.read}`,
      LIMIT_WRITE_PER_MINUTE: `${limits.write}`,
      TRUSTED_HOPS: '1',
    },
  })
  accounts = accountsOf((method, path, options) =>
    stack.call(method, path, { ...options, headers: from(newAddress()) }),
  )
  await replicasMet({ url: stack.nats.url, seed: stack.nats.seeds.auth, count: REPLICAS })
})
afterAll(() => stack.stop())

const times = (count: number) => Array.from({ length: count }, (_, i) => i)
const remainingOf = ({ headers }: Answer) => Number(headers['ratelimit-remaining'])

/** That so many of these were admitted, each to a place of its own, and all others told to come again. */
function expectAdmitted(answers: readonly Answer[], limit: number, status = 200) {
  const admitted = answers.filter((answer) => answer.status === status)
  expect(admitted.map(remainingOf).sort((a, b) => a - b)).toEqual(times(limit))
  for (const answer of answers.filter((other) => !admitted.includes(other))) {
    expectError(answer, 'rate_limited', {
      message: 'API rate limit exceeded',
      retry_after: answer.body.retry_after,
    })
    expect(answer.headers['ratelimit-limit']).toBe(`${limit}`)
  }
}

describe('over two replicas, a limit', () => {
  it('of reading admits exactly as many as it says: of what comes at once, by session and by key', async () => {
    for (const _ of times(5)) {
      const { token, apiKey } = await accounts.register()
      const answers = await Promise.all(
        times(60).map((i) => stack.call('GET', '/v1/tunnels', { token: i % 2 ? token : apiKey })),
      )
      expectAdmitted(answers, limits.read)
    }
  })

  it('of reading is told one after the other, whichever replica answers', async () => {
    const { token } = await accounts.register()
    const left = []
    for (const _ of times(limits.read))
      left.push(remainingOf(await stack.call('GET', '/v1/tunnels', { token })))
    expect(left).toEqual(times(limits.read).reverse())
    expect((await stack.call('GET', '/v1/tunnels', { token })).status).toBe(429)
  })

  it('of changing is another one, and as exact', async () => {
    const { token } = await accounts.register()
    const body = { name: 'Ada' }
    const answers = await Promise.all(
      times(30).map(() => stack.call('PATCH', '/v1/auth/user', { token, body })),
    )
    expectAdmitted(answers, limits.write)
    expect(remainingOf(await stack.call('GET', '/v1/tunnels', { token }))).toBe(limits.read - 1)
  })

  it('of logging in holds for an address, and for an e-mail from wherever', async () => {
    const login = (email: string, address: string) =>
      stack.call('POST', '/v1/auth/login', {
        body: { email, password: 'not the password' },
        headers: from(address),
      })
    const address = newAddress()
    const byAddress = await Promise.all(times(20).map((i) => login(`a${i}@example.com`, address)))
    expectAdmitted(byAddress, limits.auth, 401)
    const byEmail = await Promise.all(times(20).map(() => login('somebody@example.com', newAddress())))
    // From networks that an account is not known from, three times the limit may be tried without a delay.
    const tried = 3 * limits.auth
    expect(byEmail.filter(({ status }) => status === 401)).toHaveLength(tried)
    expect(byEmail.filter(({ status }) => status === 429)).toHaveLength(20 - tried)
  })

  it('of wrong credentials holds for an address', async () => {
    const headers = from(newAddress())
    const guesses = times(limits.auth * 10 + 20).map((i) =>
      stack.call('GET', '/v1/tunnels', { token: `it_${String(i).padStart(16, '0')}`, headers }),
    )
    const statuses = (await Promise.all(guesses)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 401)).toHaveLength(limits.auth * 10)
    expect(statuses.filter((status) => status === 429)).toHaveLength(20)
  })
})
