import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectPath } from '@instatunnel/kit/connect-request'
import { createIdentityVerifier } from '@instatunnel/kit/identity'
import { startPostgres } from '@instatunnel/local/postgres'
import { freshDatabase } from '@instatunnel/test/database'
import { descriptorsWith } from '@instatunnel/test/descriptors'
import { refused } from '@instatunnel/test/refused'
import { decodeProtectedHeader } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import { scopeMissing, unauthorized } from '../test/refusals.ts'
import { newEmail, newPassword, type StartedAuth, startAuth } from '../test/start-auth.ts'

const WHO_AM_I = '/instatunnel.auth.v1.AuthService/WhoAmI'
const LIST_KEYS = '/instatunnel.keys.v1.ApiKeyService/ListKeys'
const admitted = expect.objectContaining({ admitted: true })

/** Starts auth until the test has ended. */
async function open(...given: Parameters<typeof startAuth>): Promise<StartedAuth> {
  const started = await startAuth(...given)
  onTestFinished(() => started.close())
  return started
}

describe('the rules', () => {
  it.each([
    ['without a rule', null, 'has no access rule'],
    ['with two kinds of rule', { scope: 'keys:manage', public: true }, 'must set one of'],
    ['with a scope that there is none of', { scope: 'keys:read' }, '"keys:read" is no scope'],
  ])('stop the start where an rpc is %s, also one of another service', async (_, rule, message) => {
    for (const path of [LIST_KEYS, WHO_AM_I]) {
      const descriptors = await descriptorsWith({ [path]: rule })
      const starting = startAuth({}, { descriptors })
      await expect(starting).rejects.toThrow(path)
      await expect(starting).rejects.toThrow(message)
    }
  })

  it('are what Check decides by: a rule that changes in the contract changes the answer', async () => {
    const person = { email: newEmail(), password: newPassword() }
    const database = { DATABASE_URL: await freshDatabase() }
    const secret = { AUTH_SECRET: randomBytes(32).toString('base64') }
    const asWritten = await open({ ...database, ...secret })
    const { token, id } = await asWritten.register(person)
    expect(await asWritten.check(LIST_KEYS, { bearer: token })).toEqual(admitted)
    expect(await asWritten.check(LIST_KEYS)).toEqual(unauthorized)

    const decide = async (rule: Parameters<typeof descriptorsWith>[0][string]) => {
      const auth = await open(
        { ...database, ...secret },
        { descriptors: await descriptorsWith({ [LIST_KEYS]: rule }) },
      )
      const { secret: bearer } = auth.neighbours.addKey({ userId: id, permissions: ['keys:manage'] })
      return {
        token: await auth.check(LIST_KEYS, { bearer: token }),
        key: await auth.check(LIST_KEYS, { bearer }),
        nothing: await auth.check(LIST_KEYS),
        crossSite: await auth.check(LIST_KEYS, {
          cookie: `instatunnel_session=${token}`,
          origin: 'https://evil.example',
        }),
      }
    }
    expect(await decide({ scope: 'keys:manage', safe: true })).toMatchObject({
      token: admitted,
      key: admitted,
      nothing: unauthorized,
      crossSite: admitted,
    })
    expect(await decide({ scope: 'users:manage', safe: true })).toMatchObject({
      token: scopeMissing('users:manage'),
      key: scopeMissing('users:manage'),
    })
    expect(await decide({ scope: 'tunnels:read' })).toMatchObject({
      token: admitted,
      key: scopeMissing('tunnels:read'),
      crossSite: { admitted: false, status: 403 },
    })
    expect(await decide({ public: true, limit: 'auth' })).toMatchObject({ nothing: admitted })
    expect(await decide({ internal: ['keys'] })).toMatchObject({
      token: { status: 404 },
      nothing: { status: 404 },
    })
  })
})

describe('AUTH_SECRET', () => {
  it('must be the one that the keys were sealed with; the error says so and shows neither', async () => {
    const DATABASE_URL = await freshDatabase()
    const first = await open({ DATABASE_URL })
    const other = randomBytes(32).toString('base64')
    const error = await startAuth({ DATABASE_URL, AUTH_SECRET: other }).catch(String)
    expect(error).toMatch(
      /^Error: the signing key session_[0-9a-z]{26} cannot be opened: AUTH_SECRET is not the one that it was sealed with$/,
    )
    expect(error).not.toContain(other)
    expect(await first.check(WHO_AM_I)).toEqual(unauthorized)
  })
})

describe('the admin of the settings', () => {
  const settingsOf = (email: string, password?: string) => ({
    INSTATUNNEL_ADMIN_EMAIL: email,
    ...(password === undefined ? {} : { INSTATUNNEL_ADMIN_PASSWORD: password }),
  })
  const usersOf = (auth: StartedAuth) => auth.sql`select email, role, plan from users order by id`

  it('is made on plan business, and logs in', async () => {
    const [email, password] = [`Root.${newEmail()}`, newPassword()]
    const auth = await open(settingsOf(email, password))
    expect(await usersOf(auth)).toEqual([{ email, role: 'admin', plan: 'business' }])
    const { user, token } = await auth.login({ email: email.toLowerCase(), password })
    expect(user).toMatchObject({ role: 'admin', plan: 'business', name: '', email })
    expect((await auth.rest({ bearer: token }).listUsers()).users).toHaveLength(1)
  })

  it('is promoted where the account exists, keeps its password, and needs none in the settings', async () => {
    const DATABASE_URL = await freshDatabase()
    const AUTH_SECRET = randomBytes(32).toString('base64')
    const before = await open({ DATABASE_URL, AUTH_SECRET })
    const person = await before.register()
    for (const password of [undefined, newPassword()]) {
      const auth = await open({
        DATABASE_URL,
        AUTH_SECRET,
        ...settingsOf(person.email.toUpperCase(), password),
      })
      expect(await usersOf(auth)).toEqual([{ email: person.email, role: 'admin', plan: 'business' }])
      expect((await auth.login(person)).user).toMatchObject({ id: person.id, role: 'admin' })
    }
  })

  it('is made once by replicas that start together', async () => {
    const DATABASE_URL = await freshDatabase()
    const AUTH_SECRET = randomBytes(32).toString('base64')
    const [email, password] = [newEmail(), newPassword()]
    const replicas = await Promise.all(
      Array.from({ length: 4 }, () => open({ DATABASE_URL, AUTH_SECRET, ...settingsOf(email, password) })),
    )
    const [first] = replicas
    expect(await usersOf(first as StartedAuth)).toEqual([{ email, role: 'admin', plan: 'business' }])
    for (const replica of replicas)
      expect((await replica.login({ email, password })).user?.role).toBe('admin')
  })

  it.each([
    [
      settingsOf('not an e-mail', 'long enough password'),
      'INSTATUNNEL_ADMIN_EMAIL: must be an e-mail address',
    ],
    [settingsOf('root@example.com', 'short'), 'INSTATUNNEL_ADMIN_PASSWORD: must be 10 to 128 characters'],
    [settingsOf('root@example.com'), 'INSTATUNNEL_ADMIN_PASSWORD: must be 10 to 128 characters'],
  ])('stops the start where it cannot be made, naming the setting: %#', async (settings, message) => {
    await expect(startAuth(settings)).rejects.toThrow(new Error(`Settings: ${message}`))
  })
})

describe('replicas', () => {
  it('share what they sign with: a session of one works on the other, and identities everywhere', async () => {
    const DATABASE_URL = await freshDatabase()
    const AUTH_SECRET = randomBytes(32).toString('base64')
    const [one, two] = await Promise.all([
      open({ DATABASE_URL, AUTH_SECRET }),
      open({ DATABASE_URL, AUTH_SECRET }),
    ])
    const { id, token } = await one.register()
    expect((await two.rest({ bearer: token }).whoAmI()).user?.id).toBe(id)
    const [keysOfOne, keysOfTwo] = [
      await one.internal.listIdentityKeys(),
      await two.internal.listIdentityKeys(),
    ]
    expect(keysOfOne).toEqual(keysOfTwo)
    const checked = await two.check(WHO_AM_I, { bearer: token })
    const verify = createIdentityVerifier({ listKeys: async () => keysOfOne.keys, now: () => new Date() })
    const identity = checked.admitted ? (checked.headers['x-instatunnel-identity'] as string) : ''
    expect(await verify(identity)).toMatchObject({ userId: id })
    await two.rest({ bearer: token }).logout()
    expect(await one.check(WHO_AM_I, { bearer: token })).toEqual(unauthorized)
  })
})

describe('the signing keys', () => {
  const DAY = 24 * 60 * 60 * 1000
  const MINUTE = 60 * 1000

  /** Two replicas by one clock, and a way to have one of them look for keys that it does not know. */
  async function openTwo() {
    const clock = { now: new Date() }
    const settings = { DATABASE_URL: await freshDatabase(), AUTH_SECRET: randomBytes(32).toString('base64') }
    const now = () => clock.now
    const [one, two] = [await open(settings, { now }), await open(settings, { now })]
    const pass = (ms: number) => {
      clock.now = new Date(clock.now.getTime() + ms)
    }
    /** Makes all keys older by the database's clock, which alone decides about them. */
    const age = (ms: number) =>
      one.sql`update signing_keys set created_at = created_at - make_interval(secs => ${ms / 1000})`
    const reload = async (replica: StartedAuth) => {
      pass(1001)
      const header = Buffer.from('{"alg":"EdDSA","kid":"session_unknown"}').toString('base64url')
      await replica.check(WHO_AM_I, { bearer: `${header}.e30.AAAA` })
    }
    const kidOf = async (replica: StartedAuth) => decodeProtectedHeader((await replica.register()).token).kid
    const rows = () => one.sql`select kid, purpose from signing_keys order by created_at`
    return { one, two, pass, age, reload, kidOf, rows }
  }

  it('change after thirty days, and what was signed before stays good', async () => {
    const { one, age, reload, kidOf, rows } = await openTwo()
    await age(30 * DAY - MINUTE)
    await reload(one)
    const { token } = await one.register()
    const first = decodeProtectedHeader(token).kid
    expect(await rows()).toHaveLength(2)
    await age(MINUTE)
    await reload(one)
    expect(await rows()).toMatchObject([
      { purpose: 'session' },
      { purpose: 'identity' },
      { purpose: 'session' },
      { purpose: 'identity' },
    ])
    await age(2 * MINUTE)
    await reload(one)
    expect(await kidOf(one)).not.toBe(first)
    await age(7 * DAY)
    await reload(one)
    expect(await one.check(WHO_AM_I, { bearer: token })).toEqual(admitted)
  })

  // Whoever signs with a key that its neighbours have not met is refused by them.
  it('sign only when every replica, and so every service, can have learnt of them', async () => {
    const { one, two, age, reload, kidOf } = await openTwo()
    const first = await kidOf(one)
    await age(30 * DAY)
    await reload(one)
    expect(await kidOf(one)).toBe(first)
    const { keys: known } = await two.internal.listIdentityKeys()
    const { token } = await one.register()
    const checked = await one.check(WHO_AM_I, { bearer: token })
    const identity = checked.admitted ? (checked.headers['x-instatunnel-identity'] as string) : ''
    expect(known.map(({ kid }) => kid)).toContain(decodeProtectedHeader(identity).kid)
    expect((await one.internal.listIdentityKeys()).keys).toHaveLength(2)

    await age(2 * MINUTE)
    for (const replica of [one, two]) await reload(replica) // as each does every minute
    const second = await kidOf(one)
    expect(second).not.toBe(first)
    expect(await kidOf(two)).toBe(second)
  })

  it('of another replica are found by those that meet them, all at once or one by one', async () => {
    const { one, two, pass, age, reload } = await openTwo()
    await age(30 * DAY)
    await reload(one)
    await age(2 * MINUTE)
    await reload(one)
    pass(1001)
    const people = await Promise.all(Array.from({ length: 10 }, () => one.register()))
    const checks = await Promise.all(people.map(({ token }) => two.check(WHO_AM_I, { bearer: token })))
    expect(checks).toEqual(Array(10).fill(admitted))
  })

  it('are made once by replicas that find them due at the same time', async () => {
    const { one, two, age, reload, rows } = await openTwo()
    await age(30 * DAY)
    await Promise.all([reload(one), reload(two)])
    expect(await rows()).toHaveLength(4)
  })

  it('verify no more when nothing that they signed can be met, and are deleted a month later', async () => {
    const { one, age, reload, rows } = await openTwo()
    const { token } = await one.register()
    const first = await rows()
    await age(38 * DAY)
    await reload(one)
    expect(await one.check(WHO_AM_I, { bearer: token })).toEqual(unauthorized)
    expect(await rows()).toHaveLength(4)
    await age(30 * DAY)
    await reload(one)
    const left = (await rows()).map(({ kid }) => kid)
    expect(left).toHaveLength(4)
    for (const { kid } of first) expect(left).not.toContain(kid)
  })

  it('are made anew after months in which no replica ran', async () => {
    const { one, two, age, reload } = await openTwo()
    await age(100 * DAY)
    await Promise.all([reload(one), reload(two)])
    const { id, token } = await one.register()
    expect((await two.rest({ bearer: token }).whoAmI()).user?.id).toBe(id)
  })

  it('lie sealed in the database', async () => {
    const { one } = await openTwo()
    for (const { privateKey } of await one.sql`select private_key from signing_keys`)
      expect(Buffer.from(privateKey).includes('PRIVATE KEY')).toBe(false)
  })
})

describe('while Postgres is away', () => {
  it('nothing is decided, and all goes on when it is back, with every row', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-auth-'))
    const postgres = await startPostgres({ dataDir, port: 0 })
    onTestFinished(async () => {
      await postgres.stop()
      await rm(dataDir, { recursive: true })
    })
    const auth = await open({ DATABASE_URL: postgres.url })
    const person = await auth.register()
    const { tunnelId } = auth.neighbours.addTunnel({ userId: person.id })
    const token = auth.neighbours.addTunnelToken({ tunnelId, userId: person.id })
    const connect = (bearer: string) => auth.check(connectPath(tunnelId), { access: 'connect', bearer })
    const held = { tunnelId, credentialType: 'tunnel_token', credentialId: tunnelId }
    await postgres.kill()
    await expect(auth.check(WHO_AM_I, { bearer: person.token })).rejects.toMatchObject({
      code: 14,
      details: 'Nothing can be decided right now',
    })
    const login = auth.callWith({}).login({ email: person.email, password: person.password })
    expect(await refused(login)).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'UNAVAILABLE',
      http: 503,
      body: { error: 'unavailable', code: 5003, retry_after: 1 },
    })
    for (const bearer of [person.token, person.apiKey, token])
      await expect(connect(bearer)).rejects.toMatchObject({ code: 14 })
    expect(await refused(auth.internal.checkConnection(held))).toMatchObject({ code: 'UNAVAILABLE' })
    await postgres.start()
    // Each of its connections finds out by itself that it is back.
    const again = (call: () => Promise<unknown>) =>
      expect.poll(() => call().catch(String), { timeout: 10_000 })
    await again(() => auth.login(person).then(({ user }) => user?.id)).toBe(person.id)
    await again(() => auth.check(WHO_AM_I, { bearer: person.token })).toEqual(admitted)
    await again(() => connect(token)).toEqual(admitted)
    await again(() => auth.internal.checkConnection(held)).toEqual({ reason: '' })
    expect(auth.logged.join('')).not.toContain(person.token)
  })
})

describe('while NATS is away', () => {
  it('auth starts, serves and stops', async () => {
    const auth = await startAuth({ NATS_URL: 'nats://127.0.0.1:1' })
    const { id, token } = await auth.register()
    expect((await auth.rest({ bearer: token }).whoAmI()).user?.id).toBe(id)
    await auth.close()
  })
})
