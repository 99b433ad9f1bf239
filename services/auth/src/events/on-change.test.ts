import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { freshNats } from '@instatunnel/test/nats'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { unauthorized } from '../../test/refusals.ts'
import { type StartedAuth, startAuth } from '../../test/start-auth.ts'

const within = { timeout: 15_000, interval: 20 }
const SECOND = 1000
const WHO_AM_I = '/instatunnel.auth.v1.AuthService/WhoAmI'
const server = await freshNats()
const log = createLog('test', 'silent')

const clock = { now: new Date() }
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}

// Two replicas on one database, one keys and one NATS.
const settings = { NATS_URL: server.url, NATS_SEED: server.seeds.auth }
const one = await startAuth(settings, { now: () => clock.now })
const { DATABASE_URL = '', KEYS_ADDRESS = '', TUNNELS_ADDRESS = '', AUTH_SECRET = '' } = one.environment
const other = await startAuth(
  { ...settings, DATABASE_URL, KEYS_ADDRESS, TUNNELS_ADDRESS, AUTH_SECRET },
  { now: () => clock.now },
)
const both = [one, other]
afterAll(() => Promise.all(both.map((auth) => auth.close())))
const { neighbours } = one

const check = (auth: StartedAuth, bearer: string) => auth.check(WHO_AM_I, { bearer })
const isAdmitted = async (auth: StartedAuth, bearer: string) => (await check(auth, bearer)).admitted
const admitted = (bearer: string) => Promise.all(both.map((auth) => isAdmitted(auth, bearer)))
const known = async (bearer: string) => expect(await admitted(bearer)).toEqual([true, true])
const refusedAtOnce = async (bearer: string) => {
  for (const auth of both) expect(await check(auth, bearer)).toEqual(unauthorized)
}

/** Waits until both hear of changes, and so believe what they remember for more than five seconds. */
async function heard(): Promise<void> {
  const { secret } = neighbours.addKey({ userId: (await one.register()).id })
  const isRemembered = async () => {
    await admitted(secret)
    pass(6 * SECOND)
    const before = neighbours.lookUps()
    await admitted(secret)
    return neighbours.lookUps() === before
  }
  await expect.poll(isRemembered, within).toBe(true)
}

/** A key that both remember. */
async function knownKey() {
  const { id: userId } = await one.register()
  const made = neighbours.addKey({ userId })
  await known(made.secret)
  return { ...made, userId }
}

/** Tells an event as the service does whose it is. */
async function tell(user: 'auth' | 'keys', type: string, data: object): Promise<void> {
  const nats = connectNats({ url: server.url, seed: server.seeds[user], name: user, log })
  onTestFinished(() => nats.close())
  const { js } = await nats.ready
  await js.publish(`instatunnel.events.${type}`, JSON.stringify(data))
}

/** Lets NATS stand still: all connections to it stay open. */
function freeze() {
  const { pid } = server.process()
  process.kill(pid, 'SIGSTOP')
  const thaw = () => void process.kill(pid, 'SIGCONT')
  onTestFinished(thaw)
  return thaw
}

describe('what ended is refused by every replica', () => {
  it('as soon as the answer is there: a session and its key, logged out or revoked', async () => {
    await heard()
    const person = await one.register()
    const second = await one.login(person)
    for (const bearer of [person.token, person.apiKey, second.token, second.apiKey]) await known(bearer)
    await other.rest({ bearer: second.apiKey }).logout()
    await refusedAtOnce(second.token)
    await refusedAtOnce(second.apiKey)
    await known(person.apiKey)
    const third = await one.login(person)
    await known(third.token)
    await one.rest({ bearer: person.token }).revokeSession({ id: String(decodeJwt(third.token).sid) })
    await refusedAtOnce(third.token)
    await refusedAtOnce(third.apiKey)
  })

  it('as soon as the answer is there: a key that was logged out', async () => {
    const { secret } = await knownKey()
    await one.rest({ bearer: secret }).logout()
    await refusedAtOnce(secret)
  })

  it('as soon as the answer is there: every other session when the password changes', async () => {
    const person = await one.register()
    const own = await other.login(person)
    await known(person.token)
    await known(own.token)
    const change = { currentPassword: person.password, newPassword: 'quite another one' }
    await other.rest({ bearer: own.token }).changePassword(change)
    await refusedAtOnce(person.token)
    await refusedAtOnce(person.apiKey)
    await known(own.token)
  })

  it('as soon as the answer is there: the oldest session, by the one past fifty', async () => {
    const person = await one.register()
    await known(person.token)
    for (let n = 0; n < 49; n++) {
      pass(1)
      await one.login(person)
    }
    await known(person.token)
    pass(1)
    await one.login(person)
    await refusedAtOnce(person.token)
  })

  it('as soon as the answer is there: what only admins may, once one is none', async () => {
    const [admin, deputy] = [await one.registerAdmin(), await one.register()]
    const listUsers = () =>
      Promise.all(
        both.map(async (auth) => {
          const method = '/instatunnel.auth.v1.AdminService/ListUsers'
          return (await auth.check(method, { bearer: deputy.token })).admitted
        }),
      )
    expect(await listUsers()).toEqual([false, false])
    await one.rest({ bearer: admin.token }).adminUpdateUser({ id: deputy.id, role: 'admin' })
    expect(await listUsers()).toEqual([true, true])
    await other.rest({ bearer: admin.token }).adminUpdateUser({ id: deputy.id, role: 'user' })
    expect(await listUsers()).toEqual([false, false])
  })

  it('as soon as keys was told that all have forgotten', async () => {
    const { secret, key } = await knownKey()
    neighbours.revokeKey(key.id)
    await known(secret)
    await Promise.all(both.map((auth) => auth.evict({ keys: [key.id] })))
    await refusedAtOnce(secret)
  })

  it('within a second by its event, where nobody is asked to forget', async () => {
    const revoked = await knownKey()
    neighbours.revokeKey(revoked.key.id)
    await tell('keys', 'key.revoked', { key_id: revoked.key.id, user_id: revoked.userId })
    await expect.poll(() => admitted(revoked.secret), { ...within, timeout: 1000 }).toEqual([false, false])

    const disabled = await knownKey()
    disabled.key.enabled = false
    await tell('keys', 'key.updated', { key_id: disabled.key.id, changed: ['enabled'] })
    await expect.poll(() => admitted(disabled.secret), { ...within, timeout: 1000 }).toEqual([false, false])

    const rotated = await knownKey()
    neighbours.revokeKey(rotated.key.id)
    await tell('keys', 'key.rotated', { key_id: rotated.key.id })
    await expect.poll(() => admitted(rotated.secret), { ...within, timeout: 1000 }).toEqual([false, false])

    const person = await one.register()
    await known(person.token)
    await known(person.apiKey)
    const sessionId = String(decodeJwt(person.token).sid)
    await one.sql`update sessions set ended_at = now() where id = ${sessionId}`
    await known(person.token)
    await tell('auth', 'session.revoked', { session_id: sessionId, user_id: person.id })
    for (const bearer of [person.token, person.apiKey])
      await expect.poll(() => admitted(bearer), { ...within, timeout: 1000 }).toEqual([false, false])
  })

  it('by its plan of now, within a second of the event', async () => {
    const person = await one.register()
    await known(person.token)
    await one.sql`update users set plan = 'pro' where id = ${person.id}`
    await tell('auth', 'user.updated', { user_id: person.id, plan: 'pro', changed: ['plan'] })
    const planAt = (auth: StartedAuth) => async () => {
      const checked = await check(auth, person.token)
      return checked.admitted && decodeJwt(checked.headers['x-instatunnel-identity'] ?? '').plan
    }
    for (const auth of both) await expect.poll(planAt(auth), { ...within, timeout: 1000 }).toBe('pro')
  })

  it('to the moment that it ends by itself, however well it is remembered', async () => {
    const { id: userId } = await one.register()
    const inAMinute = (ms: number) => new Date(clock.now.getTime() + ms)
    const expiring = neighbours.addKey({ userId, expiresAt: inAMinute(3 * SECOND) })
    const old = neighbours.addKey({ userId, deprecatedAt: clock.now, sunsetAt: inAMinute(3 * SECOND) })
    for (const { secret } of [expiring, old]) await known(secret)
    pass(3 * SECOND - 1)
    for (const { secret } of [expiring, old]) await known(secret)
    pass(1)
    for (const { secret } of [expiring, old]) await refusedAtOnce(secret)
  })
})

describe('what was unknown is known by every replica', () => {
  it('as soon as it was restored, by the event alone', async () => {
    const { secret, key, userId } = await knownKey()
    neighbours.revokeKey(key.id)
    await Promise.all(both.map((auth) => auth.evict({ keys: [key.id] })))
    await refusedAtOnce(secret)
    neighbours.restoreKey(secret, key)
    await refusedAtOnce(secret)
    await tell('keys', 'key.updated', { key_id: key.id, user_id: userId, changed: ['state'] })
    await expect.poll(() => admitted(secret), { ...within, timeout: 1000 }).toEqual([true, true])
  })
})

describe('while changes cannot be heard of', () => {
  /** A key that both remember is revoked, and nobody hears of it: for how long is it admitted? */
  async function revokedUnheard(lose: () => Promise<void> | void) {
    await heard()
    const { secret, key } = await knownKey()
    pass(4 * SECOND)
    await lose()
    neighbours.revokeKey(key.id)
    return secret
  }

  it('a key is admitted for five seconds, and none that was known before NATS went is for longer', async () => {
    const secret = await revokedUnheard(() => server.kill())
    expect(await admitted(secret)).toEqual([true, true])
    pass(SECOND)
    await expect.poll(() => admitted(secret), { ...within, timeout: 3000 }).toEqual([false, false])
    await server.start()
    await heard()
  }, 60_000)

  it('nor where NATS hangs and its connections stay open', async () => {
    let thaw = () => {}
    const secret = await revokedUnheard(() => {
      thaw = freeze()
    })
    expect(await admitted(secret)).toEqual([true, true])
    pass(SECOND)
    await expect.poll(() => admitted(secret), { ...within, timeout: 4000 }).toEqual([false, false])
    thaw()
    await heard()
  }, 60_000)

  it('a session that ends is refused at once where it was ended, and elsewhere after five seconds', async () => {
    await heard()
    const person = await one.register()
    await known(person.token)
    await server.kill()
    const began = performance.now()
    await one.rest({ bearer: person.token }).logout()
    expect(performance.now() - began).toBeLessThan(1500)
    expect(await check(one, person.token)).toEqual(unauthorized)
    pass(5 * SECOND)
    await expect.poll(() => isAdmitted(other, person.token), { ...within, timeout: 3000 }).toBe(false)
    await server.start()
    await heard()
  }, 60_000)

  it('what is remembered then is forgotten when hearing begins anew', async () => {
    await heard()
    await server.kill()
    const { secret, key } = await knownKey()
    neighbours.revokeKey(key.id)
    expect(await admitted(secret)).toEqual([true, true])
    await server.start()
    await expect.poll(() => admitted(secret), within).toEqual([false, false])
  }, 60_000)
})

describe('what is not known', () => {
  it('is asked for together, once each, and not again while it is believed', async () => {
    await heard()
    const { id: userId } = await one.register()
    const secrets = Array.from({ length: 300 }, () => neighbours.addKey({ userId }).secret)
    const wrong = secrets.map((secret) => `${secret.slice(0, -3)}___`)
    const [digests, batches] = [neighbours.lookUps(), neighbours.batches()]
    const all = [...secrets, ...wrong]
    const answers = await Promise.all([...all, ...all].map((secret) => isAdmitted(one, secret)))
    const expected = [...secrets.map(() => true), ...wrong.map(() => false)]
    expect(answers).toEqual([...expected, ...expected])
    expect(neighbours.lookUps() - digests).toBe(600)
    expect(neighbours.batches() - batches).toBeLessThan(100)
    pass(10 * SECOND)
    await Promise.all(all.map((secret) => isAdmitted(one, secret)))
    expect(neighbours.lookUps() - digests).toBe(600)
  })
})
