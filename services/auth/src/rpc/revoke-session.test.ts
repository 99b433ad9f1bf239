import { refused } from '@instatunnel/test/refused'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { scopeMissing, unauthorized } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())

const WHO_AM_I = '/instatunnel.auth.v1.AuthService/WhoAmI'
const sessionIn = (token: string) => String(decodeJwt(token).sid)
const notFound = {
  code: 'NOT_FOUND',
  reason: 'SESSION_NOT_FOUND',
  message: 'You have no such session',
  metadata: {},
  http: 404,
  body: { error: 'not_found', message: 'You have no such session', code: 4004 },
}

describe('RevokeSession', () => {
  it('ends a session with its key, at once', async () => {
    const person = await auth.register()
    const other = await auth.login(person)
    const rest = auth.rest({ bearer: person.token })
    expect(await rest.revokeSession({ id: sessionIn(other.token) })).toEqual({ success: true })
    for (const bearer of [other.token, other.apiKey])
      expect(await auth.check(WHO_AM_I, { bearer })).toEqual(unauthorized)
    expect(await refused(rest.revokeSession({ id: sessionIn(other.token) }))).toEqual(notFound)
  })

  it('ends also the one that it is called with', async () => {
    const { token } = await auth.register()
    await auth.rest({ bearer: token }).revokeSession({ id: sessionIn(token) })
    expect(await auth.check(WHO_AM_I, { bearer: token })).toEqual(unauthorized)
  })

  it("ends nobody else's", async () => {
    const [ada, grace] = [await auth.register(), await auth.register()]
    const attempt = auth.rest({ bearer: ada.token }).revokeSession({ id: sessionIn(grace.token) })
    expect(await refused(attempt)).toEqual(notFound)
    expect(await auth.check(WHO_AM_I, { bearer: grace.token })).toMatchObject({ admitted: true })
  })

  it.each([
    '',
    'ses_',
    'ses_01h00000000000000000000000',
    'SES_01H00000000000000000000000',
    'key_01h00000000000000000000000',
    'ses_01h0000000000000000000000\0',
    "ses_' or true --",
    'x'.repeat(100_000),
  ])('finds none by %j', async (id) => {
    const { token } = await auth.register()
    expect(await refused(auth.rest({ bearer: token }).revokeSession({ id }))).toEqual(notFound)
  })

  it('needs account:write', async () => {
    const { id, token } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['account:read'] })
    await expect(auth.rest({ bearer: secret }).revokeSession({ id: sessionIn(token) })).rejects.toMatchObject(
      {
        checked: scopeMissing('account:write'),
      },
    )
  })
})
