import { freshNats } from '@instatunnel/test/nats'
import type { SeenEvent } from '@instatunnel/test/observer'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { newEmail, newPassword, startAuth } from '../../test/start-auth.ts'

const nats = await freshNats()
const clock = { now: new Date() }
const settings = { NATS_URL: nats.url, NATS_SEED: nats.seeds.auth }
const auth = await startAuth(settings, { now: () => clock.now })
afterAll(() => auth.close())
const observer = await nats.observe()

const sessionIn = (token: string) => String(decodeJwt(token).sid)
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}

const markers = new Set<string>()
/** Waits until all that was told so far has been seen: what is told after it comes after it on the stream. */
async function settled(): Promise<void> {
  await expect.poll(async () => (await auth.sql`select from outbox`).length, { timeout: 10_000 }).toBe(0)
  const { id } = await auth.register()
  markers.add(id)
  await observer.event(({ type, data }) => type.endsWith('user.logged_in') && data.user_id === id)
}

/** All that a piece of work told, in the order of the stream. */
async function toldBy(work: () => Promise<unknown>): Promise<SeenEvent[]> {
  await settled()
  const before = observer.events.length
  await work()
  await settled()
  return observer.events
    .slice(before)
    .filter(({ stream, data }) => stream === 'INSTATUNNEL' && !markers.has(data.user_id))
}

/** The events' types and data, in order. */
const briefly = (events: readonly SeenEvent[]) =>
  events.map(({ subject, data }) => [subject.replace('instatunnel.events.', ''), data])

/** The same, sorted by type: only the events of one resource have an order. */
const inAnyOrder = (events: readonly SeenEvent[]) =>
  briefly(events).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))

describe('the events of auth', () => {
  it('tell of a registration: the account and its first session', async () => {
    const email = `Ada.${newEmail()}`
    let made: Awaited<ReturnType<typeof auth.register>> | undefined
    const told = await toldBy(async () => {
      made = await auth.register({ email, name: 'Ada' })
    })
    const { id, token } = made as NonNullable<typeof made>
    expect(briefly(told)).toEqual([
      ['user.registered', { user_id: id, email, plan: 'free', role: 'user' }],
      [
        'user.logged_in',
        { user_id: id, session_id: sessionIn(token), address: expect.stringMatching(/^10\./) },
      ],
    ])
    expect(told.map(({ headers }) => headers)).toEqual(
      ['user.registered', 'user.logged_in'].map((type) => ({
        'ce-specversion': '1.0',
        'ce-id': expect.stringMatching(/^evt_[0-9a-z]{26}$/),
        'ce-type': `instatunnel.events.${type}`,
        'ce-source': '/instatunnel/auth',
        'ce-subject': id,
        'ce-time': clock.now.toISOString(),
        'content-type': 'application/json',
        'nats-msg-id': expect.stringMatching(/^evt_/),
      })),
    )
  })

  it('tell of a login', async () => {
    const person = await auth.register()
    let token = ''
    const told = await toldBy(async () => {
      token = (await auth.login(person)).token
    })
    expect(briefly(told)).toEqual([
      ['user.logged_in', { user_id: person.id, session_id: sessionIn(token), address: '203.0.113.7' }],
    ])
  })

  it('tell of a wrong password at a change of it as of a failed login', async () => {
    const person = await auth.register()
    const address = '198.51.100.9'
    const guess = () =>
      auth
        .rest({ bearer: person.token, address })
        .changePassword({ currentPassword: 'a wrong guess', newPassword: newPassword() })
        .catch(() => {})
    const told = await toldBy(async () => {
      for (let n = 0; n < 2; n++) await guess()
    })
    expect(briefly(told)).toEqual([['user.login_failed', { email: person.email, address }]])
  })

  it('tell of failed logins once a minute for an e-mail and address, whether it has an account or not', async () => {
    const { email } = await auth.register()
    const unknown = newEmail()
    const fail = (spelled: string, address: string) =>
      auth
        .rest({ address })
        .login({ email: spelled, password: 'a wrong guess' })
        .catch(() => {})
    const failAll = async () => {
      for (const spelled of [email, email.toUpperCase(), unknown])
        for (const address of ['198.51.100.1', '198.51.100.2', '198.51.100.1']) await fail(spelled, address)
    }
    const each = [
      { email, address: '198.51.100.1' },
      { email, address: '198.51.100.2' },
      { email: unknown, address: '198.51.100.1' },
      { email: unknown, address: '198.51.100.2' },
    ].map((data) => ['user.login_failed', data])
    const isEach = (told: SeenEvent[]) => {
      expect(told).toHaveLength(each.length)
      expect(briefly(told)).toEqual(expect.arrayContaining(each))
    }
    isEach(await toldBy(failAll))
    pass(59_999)
    expect(briefly(await toldBy(failAll))).toEqual([])
    pass(1)
    isEach(await toldBy(failAll))
  })

  it('tell of an account that changed, by whomever, and of nothing where nothing did', async () => {
    const [person, admin] = [await auth.register(), await auth.registerAdmin()]
    const [own, admins] = [auth.rest({ bearer: person.token }), auth.rest({ bearer: admin.token })]
    const told = await toldBy(async () => {
      await own.updateUser({ name: 'Ada', username: 'ada' })
      await own.updateUser({ name: 'Ada' })
      await own.updateUser({})
      await admins.adminUpdateUser({ id: person.id, plan: 'pro', role: 'user' })
      await admins.adminUpdateUser({ id: person.id, plan: 'pro' })
      await admins.adminUpdateUser({ id: person.id, role: 'admin' })
      await own.updateUser({ name: 'x\0' }).catch(() => {})
      await admins.adminUpdateUser({ id: person.id, plan: 'gold' }).catch(() => {})
    })
    expect(briefly(told)).toEqual([
      [
        'user.updated',
        { user_id: person.id, plan: 'free', role: 'user', status: 'active', changed: ['name', 'username'] },
      ],
      [
        'user.updated',
        { user_id: person.id, plan: 'pro', role: 'user', status: 'active', changed: ['plan'] },
      ],
      [
        'user.updated',
        { user_id: person.id, plan: 'pro', role: 'admin', status: 'active', changed: ['role'] },
      ],
    ])
  })

  it('tell of an account that was suspended, and of each session that this ended, once', async () => {
    const [person, admin] = [await auth.register(), await auth.registerAdmin()]
    const second = await auth.login(person)
    const set = (status: string) =>
      auth.rest({ bearer: admin.token }).adminUpdateUser({ id: person.id, status })
    const told = await toldBy(async () => {
      await set('suspended')
      await set('suspended')
      await set('active')
    })
    const updated = (status: string) => [
      'user.updated',
      { user_id: person.id, plan: 'free', role: 'user', status, changed: ['status'] },
    ]
    const ended = (token: string) => [
      'session.revoked',
      { session_id: sessionIn(token), user_id: person.id, reason: 'suspended' },
    ]
    const all = inAnyOrder(told)
    expect(all).toHaveLength(4)
    expect(all).toEqual(
      expect.arrayContaining([
        updated('suspended'),
        updated('active'),
        ended(person.token),
        ended(second.token),
      ]),
    )
  })

  it('tell of a password that changed and of each session that it ended', async () => {
    const person = await auth.register()
    const [second, third] = [await auth.login(person), await auth.login(person)]
    const change = { currentPassword: person.password, newPassword: newPassword() }
    const told = await toldBy(() => auth.rest({ bearer: third.token }).changePassword(change))
    const ended = (token: string) => [
      'session.revoked',
      { session_id: sessionIn(token), user_id: person.id, reason: 'password_changed' },
    ]
    const [first, ...others] = inAnyOrder(told).reverse()
    expect(first).toEqual([
      'user.updated',
      { user_id: person.id, plan: 'free', role: 'user', status: 'active', changed: ['password'] },
    ])
    expect(others).toHaveLength(2)
    expect(others).toEqual(expect.arrayContaining([ended(person.token), ended(second.token)]))
  })

  it('tell why a session ended', async () => {
    const person = await auth.register()
    const [second, third] = [await auth.login(person), await auth.login(person)]
    const told = await toldBy(async () => {
      await auth.rest({ bearer: second.token }).logout()
      await auth
        .rest({ bearer: second.token })
        .logout()
        .catch(() => {})
      const rest = auth.rest({ bearer: person.token })
      await rest.revokeSession({ id: sessionIn(third.token) })
      await rest.revokeSession({ id: sessionIn(third.token) }).catch(() => {})
    })
    expect(briefly(told)).toEqual([
      ['session.revoked', { session_id: sessionIn(second.token), user_id: person.id, reason: 'logout' }],
      ['session.revoked', { session_id: sessionIn(third.token), user_id: person.id, reason: 'revoked' }],
    ])
  })

  it('tell of a session that got no key, and of the oldest that made room', async () => {
    const person = await auth.register()
    for (let n = 0; n < 49; n++) {
      pass(1)
      await auth.login(person)
    }
    pass(1)
    let last = ''
    const made = await toldBy(async () => {
      last = (await auth.login(person)).token
    })
    expect(inAnyOrder(made)).toEqual([
      ['session.revoked', { session_id: sessionIn(person.token), user_id: person.id, reason: 'too_many' }],
      ['user.logged_in', { user_id: person.id, session_id: sessionIn(last), address: '203.0.113.7' }],
    ])

    const failing = await auth.register()
    const failed = await toldBy(async () => {
      auth.neighbours.failSessionKeys = { code: 14, details: 'away' }
      await auth.login(failing).catch(() => {})
      auth.neighbours.failSessionKeys = undefined
    })
    const sessionId = failed[0]?.data.session_id
    expect(briefly(failed)).toEqual([
      ['user.logged_in', { user_id: failing.id, session_id: sessionId, address: '203.0.113.7' }],
      ['session.revoked', { session_id: sessionId, user_id: failing.id, reason: 'key_failed' }],
    ])
  })

  it('tell of an admin whom the settings made', async () => {
    const [email, password] = [newEmail(), newPassword()]
    const other = await startAuth({
      ...settings,
      INSTATUNNEL_ADMIN_EMAIL: email,
      INSTATUNNEL_ADMIN_PASSWORD: password,
    })
    const event = await observer.event(({ data }) => data?.email === email)
    expect(briefly([event])).toEqual([
      [
        'user.registered',
        { user_id: expect.stringMatching(/^user_/), email, plan: 'business', role: 'admin' },
      ],
    ])
    await other.close()
  })

  it('come once each, and hold no password, hash, token or key; nor does the log', async () => {
    const ids = observer.events.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)

    const person = await auth.register({ name: 'Ada' })
    const next = newPassword()
    const checked = await auth.check('/instatunnel.auth.v1.AuthService/WhoAmI', { bearer: person.apiKey })
    const identity = checked.admitted ? (checked.headers['x-instatunnel-identity'] as string) : ''
    await auth.check('/instatunnel.auth.v1.AuthService/WhoAmI', { bearer: `${person.apiKey.slice(0, -1)}!` })
    await auth
      .rest({ bearer: person.token })
      .changePassword({ currentPassword: person.password, newPassword: next })
    auth.neighbours.failSessionKeys = { code: 13, details: 'boom' }
    await auth.login({ email: person.email, password: next }).catch(() => {})
    auth.neighbours.failSessionKeys = undefined
    const { token } = await auth.login({ email: person.email, password: next })
    await auth.rest({ bearer: token }).logout()
    await observer.event(({ data }) => data?.session_id === sessionIn(token) && data.reason === 'logout')

    const rows = await auth.sql`select password_hash from users`
    const secrets = [
      person.password,
      next,
      person.token,
      token,
      identity,
      ...auth.neighbours.secrets,
      ...rows.map(({ passwordHash }) => passwordHash),
      auth.environment.AUTH_SECRET as string,
      auth.environment.NATS_SEED as string,
      new URL(auth.environment.DATABASE_URL as string).password,
    ]
    const everything = [...observer.events.map((event) => JSON.stringify(event)), ...auth.logged].join('\n')
    expect(everything.length).toBeGreaterThan(10_000)
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(8)
      expect(everything.includes(secret), secret.slice(0, 6)).toBe(false)
    }
    expect(everything).not.toMatch(
      /eyJ[\w-]{10}|\bit_[0-9A-Za-z]{16}\b|\bitt_[0-9A-Za-z]{32}\b|argon2id|BEGIN PRIVATE/,
    )
    expect(auth.logged.join('')).toContain('the session gets no key and is ended')
  })
})
