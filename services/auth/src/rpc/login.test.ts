import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { invalid } from '../../test/refusals.ts'
import { newEmail, newPassword, startAuth } from '../../test/start-auth.ts'

/** How often Argon2 has compared a password: the one thing in a login that takes long enough to be measured from outside. */
const argon2 = vi.hoisted(() => ({ compared: 0, hashed: 0 }))
vi.mock('@node-rs/argon2', async (original) => {
  const real = await original<typeof import('@node-rs/argon2')>()
  return {
    ...real,
    hash: (...args: Parameters<typeof real.hash>) => {
      argon2.hashed++
      return real.hash(...args)
    },
    verify: (...args: Parameters<typeof real.verify>) => {
      argon2.compared++
      return real.verify(...args)
    },
  }
})

const auth = await startAuth()
afterAll(() => auth.close())

const loginFailed = {
  code: 'UNAUTHENTICATED',
  reason: 'LOGIN_FAILED',
  message: 'The e-mail or the password is not right',
  metadata: {},
  http: 401,
  body: { error: 'unauthorized', message: 'The e-mail or the password is not right', code: 4001 },
}
const sessionsOf = (userId: string) =>
  auth.sql`select id, ended_at from sessions where user_id = ${userId} order by id`

/** As many as the password hasher takes of one account at once: two, while two wait. */
const loginsAtOnce = (person: { email: string; password: string }) =>
  Promise.all([1, 2, 3, 4].map(() => auth.login(person)))

describe('Login', () => {
  it("opens a session of its own each time, and sets its cookie, then the device's", async () => {
    const person = await auth.register({ name: 'Ada' })
    const headers: unknown[] = []
    const { email, password } = person
    const answer = await auth
      .rest()
      .login({ email, password }, { onHeaders: (sent) => headers.push(sent.get('set-cookie')) })
    expect(answer).toEqual({
      user: {
        id: person.id,
        email,
        name: 'Ada',
        username: email.split('@')[0],
        plan: 'free',
        role: 'user',
        status: 'active',
        createdAt: expect.any(Date),
      },
      token: expect.stringMatching(/^eyJ/),
      expiresAt: expect.any(Date),
      apiKey: expect.stringMatching(/^it_[0-9A-Za-z]{16}$/),
    })
    expect(headers).toEqual([
      [
        `instatunnel_session=${answer.token}; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax; Secure`,
        expect.stringMatching(/^instatunnel_device=/),
      ],
    ])
    expect(answer.token).not.toBe(person.token)
    expect(answer.apiKey).not.toBe(person.apiKey)
    expect(await sessionsOf(person.id)).toHaveLength(2)
    for (const bearer of [person.token, person.apiKey, answer.token, answer.apiKey])
      expect((await auth.rest({ bearer }).whoAmI()).user?.id).toBe(person.id)
    expect((await auth.rest({ cookie: `instatunnel_session=${answer.token}` }).whoAmI()).user?.id).toBe(
      person.id,
    )
  })

  it('knows the e-mail in any case', async () => {
    const { id, email, password } = await auth.register({ email: `Grace.${newEmail()}` })
    for (const spelled of [email.toUpperCase(), email.toLowerCase(), email])
      expect((await auth.login({ email: spelled, password })).user).toMatchObject({ id, email })
  })

  it('answers a wrong password and an unknown e-mail in the same words, headers and work', async () => {
    const { email, password } = await auth.register()
    const attempts = [
      { email, password: `${password}x` },
      { email, password: 'short' },
      { email: newEmail(), password },
      { email: newEmail(), password: 'short' },
    ]
    for (const attempt of attempts) {
      Object.assign(argon2, { compared: 0, hashed: 0 })
      expect(await refused(auth.rest().login(attempt))).toEqual(loginFailed)
      expect(argon2).toEqual({ compared: 1, hashed: 0 })
    }
    Object.assign(argon2, { compared: 0, hashed: 0 })
    await auth.login({ email, password })
    expect(argon2).toEqual({ compared: 1, hashed: 0 })
  })

  const emailFault = { field: 'email', message: 'must be an e-mail address' }
  it.each([
    [{ email: '' }, emailFault],
    [{ email: "' or 1=1 --" }, emailFault],
    [{ email: `${'a'.repeat(1_000_000)}@x.com` }, emailFault],
    [{ password: '' }, { field: 'password', message: 'must not be empty' }],
    [{ password: 'p'.repeat(1025) }, { field: 'password', message: 'must be at most 1024 characters' }],
    [{ password: 'p'.repeat(1_000_000) }, { field: 'password', message: 'must be at most 1024 characters' }],
  ])('refuses %j without any of that work', async (fields, fault) => {
    Object.assign(argon2, { compared: 0, hashed: 0 })
    const attempt = { email: newEmail(), password: newPassword(), ...fields }
    expect(await refused(auth.rest().login(attempt))).toEqual(invalid(fault))
    expect(argon2).toEqual({ compared: 0, hashed: 0 })
  })

  it('ends the oldest session at the 51st, and that one only', async () => {
    const person = await auth.register()
    for (let n = 0; n < 12; n++) await loginsAtOnce(person)
    await auth.login(person)
    expect((await auth.rest({ bearer: person.token }).whoAmI()).user?.id).toBe(person.id)
    const { token } = await auth.login(person)
    const sessions = await sessionsOf(person.id)
    expect(sessions).toHaveLength(51)
    expect(sessions.map(({ endedAt }) => endedAt !== null)).toEqual([true, ...Array(50).fill(false)])
    for (const bearer of [person.token, person.apiKey])
      await expect(auth.rest({ bearer }).whoAmI()).rejects.toMatchObject({ checked: { status: 401 } })
    expect((await auth.rest({ bearer: token }).whoAmI()).user?.id).toBe(person.id)
  })

  it('forgets the sessions whose time is over', async () => {
    const { id, email, password } = await auth.register()
    const [old] = await sessionsOf(id)
    await auth.sql`update sessions set expires_at = now() - interval '1 second' where id = ${old?.id}`
    await auth.rest().login({ email, password })
    const left = await sessionsOf(id)
    expect(left).toHaveLength(1)
    expect(left[0]?.id).not.toBe(old?.id)
  })

  it('keeps to 50 where many log in at once', async () => {
    const person = await auth.register()
    for (let n = 0; n < 14; n++) await loginsAtOnce(person)
    const live = (await sessionsOf(person.id)).filter(({ endedAt }) => endedAt === null)
    expect(live).toHaveLength(50)
  })

  it.each([
    ['is away', { code: 14, details: 'keys is away' }],
    ['refuses', { code: 9, details: 'revoked before' }],
    ['fails', { code: 13, details: 'boom' }],
  ])('answers 503 and ends the session where keys %s', async (_, failure) => {
    const person = await auth.register()
    auth.neighbours.failSessionKeys = failure
    const message = 'You could not be logged in right now; try again shortly'
    expect(await refused(auth.login(person))).toEqual({
      code: 'UNAVAILABLE',
      reason: 'SESSION_KEY_UNAVAILABLE',
      message,
      metadata: {},
      retryAfterSeconds: 1,
      http: 503,
      body: { error: 'unavailable', message, code: 5003, retry_after: 1 },
    })
    auth.neighbours.failSessionKeys = undefined
    expect(await sessionsOf(person.id)).toMatchObject([{ endedAt: null }, { endedAt: expect.any(Date) }])
  })

  it("asks keys for the role's scopes", async () => {
    const admin = await auth.registerAdmin()
    await auth.login(admin)
    expect(auth.neighbours.sessionKeys.at(-1)?.permissions).toHaveLength(16)
  })
})

describe('wrong passwords', async () => {
  const limited = await startAuth({ LIMIT_AUTH_PER_MINUTE: '2' })
  afterAll(() => limited.close())
  let networks = 0
  const newNetwork = () => `2001:db8:${(++networks).toString(16)}:1`
  const wrong = (email: string, network: string, host = 1) =>
    refused(limited.rest({ address: `${network}::${host}` }).login({ email, password: 'wrong' }))
  const right = (person: { email: string; password: string }, network: string) =>
    limited.rest({ address: `${network}::7` }).login(person)
  /** Strangers try a password until they have to wait. */
  const attack = async (email: string) => {
    for (let tried = 0; ; tried++) {
      const { reason } = await wrong(email, newNetwork())
      if (reason === 'RATE_LIMITED') return tried
      expect(reason).toBe('LOGIN_FAILED')
    }
  }

  it('of strangers hold up strangers, and nobody who comes from a network of theirs', async () => {
    const home = newNetwork()
    const person = { email: newEmail(), password: newPassword() }
    await limited.rest({ address: `${home}::1` }).register({ ...person, name: '' })
    // The registration was none of them.
    expect(await attack(person.email)).toBeGreaterThanOrEqual(6)
    // The strangers now wait from wherever, and hear until when; the owner is let in from home, each time.
    await vi.waitFor(async () => {
      const waiting = await wrong(person.email, newNetwork())
      expect(waiting).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'RATE_LIMITED',
        http: 429,
        retryAfterSeconds: expect.any(Number),
      })
    })
    for (let n = 0; n < 8; n++) expect((await right(person, home)).user?.email).toBe(person.email)
  })

  it('make the same answers for an e-mail without an account', async () => {
    const home = newNetwork()
    const person = { email: newEmail(), password: newPassword() }
    await limited.rest({ address: `${home}::1` }).register({ ...person, name: '' })
    const answersTo = async (email: string) => {
      const answers = []
      for (let n = 0; n < 8; n++) answers.push(await wrong(email, newNetwork()))
      return answers.map(({ retryAfterSeconds, ...answer }) =>
        JSON.stringify({ ...answer, body: { ...answer.body, retry_after: undefined } }),
      )
    }
    const known = new Set(await answersTo(person.email))
    const unknownEmail = newEmail()
    expect(new Set(await answersTo(unknownEmail))).toEqual(known)
    expect(known.size).toBe(2)
  })

  it('keep nobody from registering, and count those who find out so that there is an account', async () => {
    const register = (email: string) =>
      limited.rest({ address: `${newNetwork()}::1` }).register({ email, password: newPassword() })
    const email = newEmail()
    await attack(email)
    expect((await register(email)).user?.email).toBe(email)
    const other = newEmail()
    await register(other)
    const reasons = []
    for (let n = 0; n < 8; n++) reasons.push((await refused(register(other))).reason)
    expect(reasons.slice(0, 6)).toEqual(Array(6).fill('EMAIL_TAKEN'))
    expect(reasons.slice(6)).toContain('RATE_LIMITED')
  })

  it('from a network that the account is known from hold up nobody elsewhere', async () => {
    const [home, work] = [newNetwork(), newNetwork()]
    const person = { email: newEmail(), password: newPassword() }
    await limited.rest({ address: `${home}::1` }).register({ ...person, name: '' })
    await right(person, work)
    // Somebody behind the same router guesses until that network has to wait.
    let answer = await wrong(person.email, work).catch((error) => error.checked)
    while (answer.reason === 'LOGIN_FAILED')
      answer = await wrong(person.email, work).catch((error) => error.checked)
    expect(answer.status).toBe(429)
    expect((await right(person, home)).user?.email).toBe(person.email)
    expect((await right(person, newNetwork())).user?.email).toBe(person.email)
  })

  it('are known by the network, which is kept for 90 days, the last twenty, and as no address', async () => {
    const home = newNetwork()
    const person = { email: newEmail(), password: newPassword() }
    const { user } = await limited.rest({ address: `${home}::1` }).register({ ...person, name: '' })
    for (let n = 0; n < 22; n += 2) await Promise.all([n, n + 1].map(() => right(person, newNetwork())))
    const rows = await limited.sql`select network from known_networks where user_id = ${user?.id as string}`
    expect(rows).toHaveLength(20)
    for (const { network } of rows) expect(network).toHaveLength(32)
    await right(person, home)
    await limited.sql`
      update known_networks set last_login_at = now() - interval '91 days' where user_id = ${user?.id as string}`
    await attack(person.email)
    await vi.waitFor(async () =>
      expect((await wrong(person.email, home).catch((error) => error.checked)).reason).toBe('RATE_LIMITED'),
    )
  })
})
