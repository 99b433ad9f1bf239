import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { scopeMissing, unauthorized } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())
const admin = await auth.registerAdmin()
const rest = auth.rest({ bearer: admin.token })
const check = (bearer: string) => auth.check('/instatunnel.auth.v1.AuthService/WhoAmI', { bearer })

const noAccount = { reason: 'USER_NOT_FOUND', message: 'There is no such account', http: 404 }

describe('ListUserSessions and EndUserSessions', () => {
  it("list an account's live sessions and end all of them, and no other's", async () => {
    const [person, other] = [await auth.register(), await auth.register()]
    const second = await auth.login(person)
    const { id: userId } = person
    const own = await auth.rest({ bearer: person.token }).listSessions()
    const { sessions } = await rest.listUserSessions({ userId })
    expect(sessions).toHaveLength(2)
    expect(sessions).toEqual(own.sessions.map((session) => ({ ...session, current: false })))
    const page = await rest.listUserSessions({ userId, pageSize: 1 })
    expect(page.sessions).toEqual(sessions.slice(0, 1))
    const { nextPageToken: pageToken } = page
    expect((await rest.listUserSessions({ userId, pageSize: 1, pageToken })).sessions).toEqual(
      sessions.slice(1),
    )

    expect(await rest.endUserSessions({ userId })).toEqual({ success: true, sessionsEnded: 2 })
    for (const bearer of [person.token, second.token]) expect(await check(bearer)).toEqual(unauthorized)
    expect(await check(other.token)).toMatchObject({ admitted: true })
    expect(await rest.listUserSessions({ userId })).toEqual({ sessions: [], nextPageToken: '' })
    expect(await rest.endUserSessions({ userId })).toEqual({ success: true, sessionsEnded: 0 })
    expect(await auth.login(person)).toMatchObject({ user: { id: userId } })
  })

  it.each(['', 'user_x', 'user_01h00000000000000000000000'])('find no account by %j', async (userId) => {
    expect(await refused(rest.listUserSessions({ userId }))).toMatchObject(noAccount)
    expect(await refused(rest.endUserSessions({ userId }))).toMatchObject(noAccount)
  })

  it('need users:manage', async () => {
    const { id: userId, token } = await auth.register()
    const own = auth.rest({ bearer: token })
    for (const call of [() => own.listUserSessions({ userId }), () => own.endUserSessions({ userId })])
      await expect(call()).rejects.toMatchObject({ checked: scopeMissing('users:manage') })
  })
})
