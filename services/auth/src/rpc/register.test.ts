import { refused } from '@instatunnel/test/refused'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid } from '../../test/refusals.ts'
import { newEmail, newPassword, startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())

const WEEK_MS = 7 * 24 * 60 * 60 * 1000
const rowsOf = (email: string) => auth.sql`select * from users where email_key = ${email.toLowerCase()}`

describe('Register', () => {
  it('makes an account and logs it in', async () => {
    const password = newPassword()
    const answer = await auth
      .rest()
      .register({ email: 'Ada.Lovelace@Example.com', password, name: 'Ada Lovelace' })
    expect(answer).toEqual({
      user: {
        id: expect.stringMatching(/^user_[0-9a-hjkmnp-tv-z]{26}$/),
        email: 'Ada.Lovelace@Example.com',
        name: 'Ada Lovelace',
        username: 'ada.lovelace',
        plan: 'free',
        role: 'user',
        status: 'active',
        createdAt: expect.any(Date),
      },
      token: expect.stringMatching(/^eyJ/),
      expiresAt: new Date((answer.user?.createdAt?.getTime() as number) + WEEK_MS),
      apiKey: expect.stringMatching(/^it_[0-9A-Za-z]{16}$/),
    })
    expect(decodeJwt(answer.token)).toMatchObject({
      sub: answer.user?.id,
      sid: expect.stringMatching(/^ses_/),
    })
  })

  it('gives a token and a key that work at once, and are of one session', async () => {
    const { id, token, apiKey } = await auth.register()
    const byToken = await auth.rest({ bearer: token }).whoAmI()
    const byKey = await auth.rest({ bearer: apiKey }).whoAmI()
    expect(byToken).toMatchObject({ user: { id }, credential: { type: 'session' } })
    expect(byKey).toMatchObject({ user: { id }, credential: { type: 'api_key' } })
    const asked = auth.neighbours.sessionKeys.filter(({ userId }) => userId === id)
    expect(asked).toEqual([
      {
        userId: id,
        sessionId: byToken.credential?.id,
        permissions: expect.arrayContaining(['tunnels:write']),
      },
    ])
    expect(asked[0]?.permissions).toHaveLength(12)
  })

  it('keeps the password as Argon2id only', async () => {
    const { id, password } = await auth.register()
    const [row] = await auth.sql`select * from users where id = ${id}`
    expect(row?.passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(JSON.stringify(row)).not.toContain(password)
  })

  it.each([
    ['the same e-mail', (email: string) => email],
    ['the e-mail in another case', (email: string) => email.toUpperCase()],
  ])('refuses %s twice and writes nothing', async (_, spelled) => {
    const { email } = await auth.register()
    const before = await auth.sql`select count(*)::int as n from sessions`
    const again = auth.rest().register({ email: spelled(email), password: newPassword() })
    const message = 'There is an account with this e-mail; log in instead'
    const fields = [{ field: 'email', message: 'has an account' }]
    expect(await refused(again)).toEqual({
      code: 'ALREADY_EXISTS',
      reason: 'EMAIL_TAKEN',
      message,
      metadata: {},
      fields,
      http: 409,
      body: { error: 'conflict', message, code: 4010, fields },
    })
    expect(await rowsOf(email)).toHaveLength(1)
    expect(await auth.sql`select count(*)::int as n from sessions`).toEqual(before)
  })

  it('gives one e-mail to exactly one of 20 who ask at once', async () => {
    const email = newEmail()
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, n) => {
        const spelled = n % 2 ? email : email.toUpperCase()
        const call = auth.rest().register({ email: spelled, password: newPassword() })
        return call.then(
          () => 'made',
          (error) => refused(Promise.reject(error)).then(({ reason }) => reason),
        )
      }),
    )
    expect(outcomes.filter((outcome) => outcome === 'made')).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome === 'EMAIL_TAKEN')).toHaveLength(19)
    expect(await rowsOf(email)).toHaveLength(1)
    const [user] = await rowsOf(email)
    expect(await auth.sql`select id from sessions where user_id = ${user?.id}`).toHaveLength(1)
  })

  const email = { field: 'email', message: 'must be an e-mail address' }
  const password = { field: 'password', message: 'must be 10 to 128 characters' }
  const name = { field: 'name', message: 'must be at most 100 characters, none a control character' }
  it.each([
    [{ email: '' }, [email]],
    [{ email: 'not an e-mail' }, [email]],
    [{ email: `${'a'.repeat(1_000_000)}@example.com` }, [email]],
    [{ email: 'ada@example.com\0' }, [email]],
    [{ password: '' }, [password]],
    [{ password: '123456789' }, [password]],
    [{ password: 'p'.repeat(129) }, [password]],
    [{ password: 'p'.repeat(1_000_000) }, [password]],
    [{ name: 'n'.repeat(101) }, [name]],
    [{ name: 'a\0b' }, [name]],
    [{ email: 'x', password: 'y', name: '\n' }, [email, password, name]],
  ])('refuses %j, naming what is at fault', async (fields, faults) => {
    const good = { email: newEmail(), password: newPassword(), name: '' }
    expect(await refused(auth.rest().register({ ...good, ...fields }))).toEqual(invalid(...faults))
    expect(await rowsOf(good.email)).toEqual([])
  })

  it('takes passwords of 10 and of 128 characters, whatever they are', async () => {
    for (const word of ['0123456789', '🦦'.repeat(128), 'p'.repeat(128), 'nul \0 and more']) {
      const person = await auth.register({ password: word })
      expect((await auth.login(person)).user?.id).toBe(person.id)
    }
  })

  it.each([
    ['is away', () => ({ code: 14, details: 'keys is away' })],
    ['fails', () => ({ code: 13, details: 'Something went wrong on our side.' })],
  ])('says that the account was made where keys %s, and ends the session', async (_, failure) => {
    const [address, secret] = [newEmail(), newPassword()]
    auth.neighbours.failSessionKeys = failure()
    const message =
      'Your account was made, but you could not be logged in; log in with the same e-mail and password'
    expect(await refused(auth.rest().register({ email: address, password: secret }))).toEqual({
      code: 'UNAVAILABLE',
      reason: 'SESSION_KEY_UNAVAILABLE',
      message,
      metadata: {},
      retryAfterSeconds: 1,
      http: 503,
      body: { error: 'unavailable', message, code: 5003, retry_after: 1 },
    })
    auth.neighbours.failSessionKeys = undefined
    const [user] = await rowsOf(address)
    expect(await auth.sql`select ended_at from sessions where user_id = ${user?.id}`).toEqual([
      { endedAt: expect.any(Date) },
    ])
    expect((await auth.login({ email: address, password: secret })).user?.id).toBe(user?.id)
  })

  it('answers 500 where the database refuses the row, and says nothing of the row, nor to the log', async () => {
    await auth.sql`alter table users add constraint odd check (name <> 'odd')`
    const [address, secret] = [newEmail(), newPassword()]
    expect(
      await refused(auth.rest().register({ email: address, password: secret, name: 'odd' })),
    ).toMatchObject({
      code: 'INTERNAL',
      message: 'Something went wrong on our side.',
      http: 500,
      body: { error: 'internal', message: 'Something went wrong on our side.', code: 5000 },
    })
    const line = auth.logged.find((text) => text.includes('23514')) as string
    expect(JSON.parse(line)).toMatchObject({
      method: '/instatunnel.auth.v1.AuthService/Register',
      msg: 'failed',
    })
    expect(line).not.toMatch(/argon2id/)
    expect(line).not.toContain(secret)
    await auth.sql`alter table users drop constraint odd`
  })

  it('remembers where the session was made from', async () => {
    const address = newEmail()
    const { user } = await auth
      .rest({ address: '2001:db8::7' })
      .register({ email: address, password: newPassword() })
    const [session] =
      await auth.sql`select address, user_agent from sessions where user_id = ${user?.id as string}`
    expect(session).toEqual({ address: '2001:db8::7', userAgent: expect.stringMatching(/^grpc-node-js/) })
  })

  it('needs no gateway: it may be called directly', async () => {
    const answer = await auth.callWith({}).register({ email: newEmail(), password: newPassword() })
    expect(answer.user?.plan).toBe('free')
  })
})
