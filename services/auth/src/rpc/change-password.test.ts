import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, scopeMissing } from '../../test/refusals.ts'
import { newPassword, startAuth } from '../../test/start-auth.ts'

// Time stands still: no attempt is forgotten, and no delay ends.
const time = new Date()
const auth = await startAuth()
const limited = await startAuth({ LIMIT_AUTH_PER_MINUTE: '3' }, { now: () => time })
afterAll(() => Promise.all([auth.close(), limited.close()]))

const isIn = async (bearer: string) =>
  (await auth.check('/instatunnel.auth.v1.AuthService/WhoAmI', { bearer })).admitted

describe('ChangePassword', () => {
  it('changes it and ends every other session', async () => {
    const person = await auth.register()
    const [second, third] = [await auth.login(person), await auth.login(person)]
    const password = newPassword()
    expect(
      await auth
        .rest({ bearer: second.token })
        .changePassword({ currentPassword: person.password, newPassword: password }),
    ).toEqual({ success: true, sessionsEnded: 2 })
    expect(await isIn(second.token)).toBe(true)
    expect(await isIn(second.apiKey)).toBe(true)
    for (const bearer of [person.token, person.apiKey, third.token, third.apiKey])
      expect(await isIn(bearer)).toBe(false)
    expect(await refused(auth.login(person))).toMatchObject({ reason: 'LOGIN_FAILED' })
    expect((await auth.login({ email: person.email, password })).user?.id).toBe(person.id)
  })

  it("keeps the session of a session's key, and none for a key of its own", async () => {
    const person = await auth.register()
    const other = await auth.login(person)
    const change = (bearer: string, from: string, to: string) =>
      auth.rest({ bearer }).changePassword({ currentPassword: from, newPassword: to })
    const [first, second] = [newPassword(), newPassword()]
    expect(await change(person.apiKey, person.password, first)).toMatchObject({ sessionsEnded: 1 })
    expect(await isIn(person.token)).toBe(true)
    expect(await isIn(other.token)).toBe(false)
    const { secret } = auth.neighbours.addKey({ userId: person.id })
    expect(await change(secret, first, second)).toMatchObject({ sessionsEnded: 1 })
    expect(await isIn(person.token)).toBe(false)
    expect(await isIn(secret)).toBe(true)
  })

  it("leaves other people's sessions alone", async () => {
    const [ada, grace] = [await auth.register(), await auth.register()]
    await auth
      .rest({ bearer: ada.token })
      .changePassword({ currentPassword: ada.password, newPassword: newPassword() })
    expect(await isIn(grace.token)).toBe(true)
  })

  it('refuses a wrong current password, and changes nothing', async () => {
    const person = await auth.register()
    const other = await auth.login(person)
    const attempt = { currentPassword: `${person.password}x`, newPassword: newPassword() }
    const message = "current_password: is not the account's password"
    const fields = [{ field: 'current_password', message: "is not the account's password" }]
    expect(await refused(auth.rest({ bearer: person.token }).changePassword(attempt))).toEqual({
      code: 'PERMISSION_DENIED',
      reason: 'WRONG_PASSWORD',
      message,
      metadata: {},
      fields,
      http: 403,
      body: { error: 'forbidden', message, code: 4003, fields },
    })
    expect(await isIn(other.token)).toBe(true)
    expect((await auth.login(person)).user?.id).toBe(person.id)
  })

  it.each([
    [{ currentPassword: '' }, { field: 'current_password', message: 'must not be empty' }],
    [
      { currentPassword: 'p'.repeat(1025) },
      { field: 'current_password', message: 'must be at most 1024 characters' },
    ],
    [{ newPassword: '' }, { field: 'new_password', message: 'must be 10 to 128 characters' }],
    [{ newPassword: '123456789' }, { field: 'new_password', message: 'must be 10 to 128 characters' }],
    [{ newPassword: 'p'.repeat(129) }, { field: 'new_password', message: 'must be 10 to 128 characters' }],
  ])('refuses %j', async (fields, fault) => {
    const person = await auth.register()
    const attempt = { currentPassword: person.password, newPassword: newPassword(), ...fields }
    expect(await refused(auth.rest({ bearer: person.token }).changePassword(attempt))).toEqual(invalid(fault))
  })

  it('lets one of two changes at once win, and the other know', async () => {
    const person = await auth.register()
    const [one, two] = [newPassword(), newPassword()]
    const rest = auth.rest({ bearer: person.token })
    const outcomes = await Promise.all(
      [one, two].map((password) =>
        rest.changePassword({ currentPassword: person.password, newPassword: password }).then(
          () => password,
          (error) => refused(Promise.reject(error)).then(({ reason }) => reason),
        ),
      ),
    )
    expect(outcomes.filter((outcome) => outcome === 'WRONG_PASSWORD')).toHaveLength(1)
    const won = outcomes.find((outcome) => outcome !== 'WRONG_PASSWORD') as string
    expect((await auth.login({ email: person.email, password: won })).user?.id).toBe(person.id)
  })

  it('lets nobody who logs in during the change keep a session of the old password', async () => {
    const person = await auth.register()
    const change = auth
      .rest({ bearer: person.token })
      .changePassword({ currentPassword: person.password, newPassword: newPassword() })
    const logins = await Promise.all(
      Array.from({ length: 10 }, () =>
        auth.login(person).then(
          ({ token }) => token,
          () => undefined,
        ),
      ),
    )
    await change
    for (const token of logins) if (token !== undefined) expect(await isIn(token)).toBe(false)
  })

  let networks = 0
  const newNetwork = () => `2001:db8:${(++networks).toString(16)}:2::1`
  const guess = (token: string, address: string) =>
    refused(
      limited
        .rest({ bearer: token, address })
        .changePassword({ currentPassword: 'a wrong guess', newPassword: newPassword() }),
    )

  it('is tried no more often than a login, from one network, with whatever account', async () => {
    const [person, another] = [await limited.register(), await limited.register()]
    const here = newNetwork()
    const login = limited.rest({ address: here }).login({ email: person.email, password: 'a wrong guess' })
    expect((await refused(login)).reason).toBe('LOGIN_FAILED')
    for (let n = 0; n < 2; n++) expect((await guess(person.token, here)).reason).toBe('WRONG_PASSWORD')
    expect((await guess(another.token, here)).reason).toBe('RATE_LIMITED')
    await expect(limited.rest({ address: here }).login(person)).rejects.toMatchObject({
      checked: { status: 429 },
    })
    expect(await guess(person.token, here)).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'RATE_LIMITED',
      message: 'API rate limit exceeded',
      retryAfterSeconds: 60,
      http: 429,
      body: { error: 'rate_limited', message: 'API rate limit exceeded', code: 4029, retry_after: 60 },
    })
    expect((await guess(another.token, newNetwork())).reason).toBe('WRONG_PASSWORD')
  })

  it('is tried no more often than a login, for one account from wherever, and keeps nobody from logging in', async () => {
    const person = await limited.register()
    for (let n = 0; n < 9; n++)
      expect((await guess(person.token, newNetwork())).reason).toBe('WRONG_PASSWORD')
    expect((await guess(person.token, newNetwork())).reason).toBe('RATE_LIMITED')
    const login = limited.rest({ address: newNetwork() }).login(person)
    expect((await login).user?.id).toBe(person.id)
  })

  it('counts no change that is made', async () => {
    const person = await limited.register()
    const rest = limited.rest({ bearer: person.token, address: newNetwork() })
    let { password } = person
    for (let n = 0; n < 5; n++) {
      const next = newPassword()
      expect(await rest.changePassword({ currentPassword: password, newPassword: next })).toMatchObject({
        success: true,
      })
      password = next
    }
  })

  it('needs account:write', async () => {
    const { id, password } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['account:read', 'keys:manage'] })
    const attempt = { currentPassword: password, newPassword: newPassword() }
    await expect(auth.rest({ bearer: secret }).changePassword(attempt)).rejects.toMatchObject({
      checked: scopeMissing('account:write'),
    })
  })
})
