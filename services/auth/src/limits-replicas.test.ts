import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { startAuthReplicas } from '../test/auth-replicas.ts'
import type { RestCall } from '../test/check.ts'
import { newEmail, newPassword, type StartedAuth } from '../test/start-auth.ts'

const WHO_AM_I = '/instatunnel.auth.v1.AuthService/WhoAmI'
const LOGOUT = '/instatunnel.auth.v1.AuthService/Logout'
const LOGIN = '/instatunnel.auth.v1.AuthService/Login'
const settings = {
  LIMIT_AUTH_PER_MINUTE: '3',
  LIMIT_READ_PER_MINUTE: '20',
  LIMIT_WRITE_PER_MINUTE: '10',
}

const times = (count: number) => Array.from({ length: count }, (_, i) => i)
let addresses = 0
/** Somewhere that nobody called from before. */
const newAddress = () => `198.51.100.${++addresses}`

describe.each([2, 3])('over %i replicas', async (count) => {
  const replicas = await startAuthReplicas(count, settings)
  const [first] = replicas as [StartedAuth]
  afterAll(async () => {
    await Promise.all(replicas.map((replica) => replica.close()))
  })
  const replica = (i: number) => replicas[i % count] as StartedAuth

  /** What so many calls at once, spread over all replicas, are answered. */
  const checkAll = (method: string, call: RestCall, calls: number) =>
    Promise.all(times(calls).map((i) => replica(i).check(method, call)))
  const remainingOf = (headers: Record<string, string>) => Number(headers['ratelimit-remaining'])

  it('a user reads and changes exactly as often as the limits say, with whatever credential', async () => {
    for (const _ of times(3)) {
      const person = await first.register()
      const again = await first.rest({ address: newAddress() }).login(person)
      for (const [method, limit] of [
        [WHO_AM_I, 20],
        [LOGOUT, 10],
      ] as const) {
        const halves = [person.token, again.token].map((bearer) => checkAll(method, { bearer }, 30))
        const answers = (await Promise.all(halves)).flat()
        const admitted = answers.filter((answer) => answer.admitted)
        expect(admitted).toHaveLength(limit)
        const left = admitted.map((answer) => answer.admitted && remainingOf(answer.responseHeaders))
        expect(left.sort((a, b) => Number(a) - Number(b))).toEqual(times(limit))
        for (const answer of answers.filter((other) => !other.admitted))
          expect(answer).toMatchObject({ status: 429, headers: { 'ratelimit-limit': `${limit}` } })
      }
    }
  })

  it('an address logs in as often as the limit says', async () => {
    for (const _ of times(4)) {
      const answers = await checkAll(LOGIN, { address: newAddress() }, 12)
      expect(answers.filter(({ admitted }) => admitted)).toHaveLength(3)
    }
  })

  it('an e-mail is tried from wherever three times as often as the limit says, then with delays', async () => {
    for (const _ of times(2)) {
      const email = newEmail()
      const began = performance.now()
      const tries = times(24).map((i) =>
        refused(replica(i).rest({ address: newAddress() }).login({ email, password: newPassword() })),
      )
      const reasons = (await Promise.all(tries)).map(({ reason }) => reason)
      const tried = reasons.filter((reason) => reason === 'LOGIN_FAILED').length
      // One more after a second, the next after two more, and so on: as long as it took.
      const later = Math.log2((performance.now() - began) / 1000 + 1)
      expect(tried).toBeGreaterThanOrEqual(9)
      expect(tried).toBeLessThanOrEqual(9 + later)
      expect(reasons.filter((reason) => reason === 'RATE_LIMITED')).toHaveLength(24 - tried)
    }
  })

  it('right logins of a network do not use its limit up, whichever replica counted them', async () => {
    const address = newAddress()
    const person = await first.register()
    for (const i of times(12)) await replica(i).rest({ address }).login(person)
    const wrong = { email: person.email, password: newPassword() }
    for (const i of times(3))
      expect((await refused(replica(i).rest({ address }).login(wrong))).reason).toBe('LOGIN_FAILED')
    await expect(first.rest({ address }).login(person)).rejects.toMatchObject({ checked: { status: 429 } })
  })

  it('wrong credentials of an address are counted together', async () => {
    for (const _ of times(3)) {
      const answers = await checkAll(WHO_AM_I, { bearer: 'short', address: newAddress() }, 90)
      const statuses = answers.map((answer) => (answer.admitted ? 200 : answer.status))
      expect(statuses.filter((status) => status === 401)).toHaveLength(30)
      expect(statuses.filter((status) => status === 429)).toHaveLength(60)
    }
  })
})
