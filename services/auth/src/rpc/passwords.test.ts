import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { Checked, RestCall } from '../../test/check.ts'
import { newEmail, newPassword, startAuth } from '../../test/start-auth.ts'

/** Told of each piece of Argon2's work before it begins. */
const argon2 = vi.hoisted(() => ({ beforeEach: async () => {} }))
vi.mock('@node-rs/argon2', async (original) => {
  const real = await original<typeof import('@node-rs/argon2')>()
  return {
    ...real,
    hash: (...args: Parameters<typeof real.hash>) => argon2.beforeEach().then(() => real.hash(...args)),
    verify: (...args: Parameters<typeof real.verify>) => argon2.beforeEach().then(() => real.verify(...args)),
  }
})

const auth = await startAuth()
const limited = await startAuth({ LIMIT_AUTH_PER_MINUTE: '8' })
afterAll(() => Promise.all([auth.close(), limited.close()]))

const LOGIN = '/instatunnel.auth.v1.AuthService/Login'
const WHO_AM_I = '/instatunnel.auth.v1.AuthService/WhoAmI'

describe('passwords', () => {
  it('are hashed outside of every transaction', async () => {
    const open: unknown[] = []
    argon2.beforeEach = async () => {
      // Not those of the publisher of events, which no call waits for.
      const rows = await auth.sql`
        select query from pg_stat_activity
        where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()
          and state like 'idle in transaction%' and query ~ 'users|sessions'`
      open.push(...rows)
      hashed++
    }
    let hashed = 0
    const person = await auth.register()
    await auth.login(person)
    await refused(auth.login({ ...person, password: 'wrong' }))
    await refused(auth.login({ email: newEmail(), password: 'wrong' }))
    const change = { currentPassword: person.password, newPassword: newPassword() }
    await auth.rest({ bearer: person.token }).changePassword(change)
    await refused(auth.rest({ bearer: person.token }).changePassword(change))
    argon2.beforeEach = async () => {}
    expect(hashed).toBe(7)
    expect(open).toEqual([])
  })

  it('keep no other call waiting: 600 logins at once leave a session that was not met its answer', async () => {
    const { token } = await auth.login(await auth.register())
    const begun = Promise.withResolvers<void>()
    const end = Promise.withResolvers<void>()
    let running = 0
    argon2.beforeEach = () => {
      running++
      begun.resolve()
      return end.promise
    }
    const logins = Array.from({ length: 600 }, () => {
      const login = auth.login({ email: newEmail(), password: 'wrong' })
      return refused(login).catch((error: { checked: Checked }) => error.checked)
    })
    await begun.promise
    expect((await auth.check(WHO_AM_I, { bearer: token })).admitted).toBe(true)
    // All that the queue has no room for are refused, while the others wait.
    await vi.waitFor(async () => expect(await settled(logins)).toBe(600 - 2 - 32), 10_000)
    expect(running).toBe(2)
    argon2.beforeEach = async () => {}
    end.resolve()
    const message = 'Too many passwords are being checked right now; try again shortly'
    const body = { error: 'unavailable', message, code: 5003, retry_after: 1 }
    const answers = await Promise.all(logins)
    const called = answers.filter((answer) => 'reason' in answer)
    const byCheck = answers.filter((answer) => !('reason' in answer))
    // Past those that go on one after the other, Check refuses: nothing was looked up for them.
    expect(byCheck.length).toBeGreaterThan(0)
    for (const answer of byCheck)
      expect(answer).toMatchObject({ admitted: false, status: 503, headers: { 'retry-after': '1' }, body })
    expect(called.filter(({ reason }) => reason === 'LOGIN_FAILED')).toHaveLength(34)
    const busy = called.filter(({ reason }) => reason === 'PASSWORDS_BUSY')
    expect(busy).toHaveLength(called.length - 34)
    expect(busy[0]).toEqual({
      code: 'UNAVAILABLE',
      reason: 'PASSWORDS_BUSY',
      message,
      metadata: {},
      retryAfterSeconds: 1,
      http: 503,
      body,
    })
  })

  it('keep no owner out, by a browser or at home, while strangers try more than are admitted at once', async () => {
    const homeAddress = '192.0.2.99'
    let cookie = ''
    const onHeaders = (headers: { get(name: string): unknown[] }) => {
      cookie = /instatunnel_device=itd_\w+/.exec(headers.get('set-cookie').join())?.[0] ?? ''
    }
    const owner = { email: newEmail(), password: newPassword(), name: '' }
    await auth.rest({ address: homeAddress }).register(owner, { onHeaders })
    /** Whether a login is admitted while strangers, each from a network of its own, wait in numbers. */
    const isAdmitted = async (call: RestCall) => {
      const strangers = Array.from({ length: 400 }, (_, n) =>
        auth.check(LOGIN, { address: `10.${n >> 8}.${n & 255}.1` }),
      )
      const { admitted } = await auth.check(LOGIN, call)
      const refusals = (await Promise.all(strangers)).filter((checked) => !checked.admitted)
      expect(refusals.length).toBeGreaterThan(0)
      return admitted
    }
    expect(await isAdmitted({ address: '198.51.100.9', cookie })).toBe(true)
    // It is heard of as an event.
    await vi.waitFor(async () => expect(await isAdmitted({ address: homeAddress })).toBe(true), 15_000)
  })

  it('keep no owner out while others log in to accounts of their own, again and again', async () => {
    const home = auth.rest({ address: '192.0.2.1' })
    const owner = { email: newEmail(), password: newPassword() }
    await home.register(owner)
    const others = await Promise.all(
      Array.from({ length: 3 }, async (_, n) => {
        const there = auth.rest({ address: `203.0.113.${n}` })
        const account = { email: newEmail(), password: newPassword() }
        await there.register(account)
        return () => there.login(account)
      }),
    )
    const begun = Promise.withResolvers<void>()
    const end = Promise.withResolvers<void>()
    argon2.beforeEach = () => {
      begun.resolve()
      return end.promise
    }
    const logins = others.flatMap((login) =>
      Array.from({ length: 20 }, () =>
        login().then(
          () => 'done',
          ({ details }: { details?: string }) => details ?? 'refused',
        ),
      ),
    )
    await begun.promise
    await vi.waitFor(async () => expect(await settled(logins)).toBe(60 - 2 - 3 * 2), 10_000)
    const login = home.login(owner)
    for (const _ of [1, 2, 3]) await auth.check(WHO_AM_I, {})
    argon2.beforeEach = async () => {}
    end.resolve()
    expect((await login).user?.email).toBe(owner.email)
    expect((await Promise.all(logins)).filter((outcome) => outcome === 'done')).toHaveLength(8)
  })

  it('keep no owner waiting whose password others change, nor count the changes that were not tried', async () => {
    const home = limited.rest({ address: '192.0.2.1' })
    const owner = { email: newEmail(), password: newPassword() }
    await home.register(owner)
    const { token } = await limited.register()
    const change = () =>
      refused(
        limited
          .rest({ bearer: token })
          .changePassword({ currentPassword: 'a wrong guess', newPassword: newPassword() }),
      ).then(({ reason }) => reason)
    const end = Promise.withResolvers<void>()
    argon2.beforeEach = () => end.promise
    const changes = Array.from({ length: 8 }, change)
    await vi.waitFor(async () => expect(await settled(changes)).toBe(8 - 2 - 2), 10_000)
    const login = home.login(owner)
    // So that it comes while the others wait.
    for (const _ of [1, 2, 3]) await limited.rest({ bearer: token }).whoAmI()
    argon2.beforeEach = async () => {}
    end.resolve()
    expect((await login).user?.email).toBe(owner.email)
    const reasons = await Promise.all(changes)
    expect(reasons.filter((reason) => reason === 'PASSWORDS_BUSY')).toHaveLength(4)
    expect(reasons.filter((reason) => reason === 'WRONG_PASSWORD')).toHaveLength(4)
    for (let n = 0; n < 4; n++) expect(await change()).toBe('WRONG_PASSWORD')
    expect(await change()).toBe('RATE_LIMITED')
  })
})

/** How many have an answer by now. */
async function settled(calls: readonly Promise<unknown>[]): Promise<number> {
  const open = Symbol('open')
  const all = await Promise.all(calls.map((call) => Promise.race([call, Promise.resolve(open)])))
  return all.filter((one) => one !== open).length
}
