import { afterAll, describe, expect, it } from 'vitest'
import type { RestCall } from '../../test/check.ts'
import { unauthorized } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())

const WHO_AM_I = '/instatunnel.auth.v1.AuthService/WhoAmI'
const CLEARED = 'instatunnel_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure'

/** Logs out with a credential; gives the cookie header of the answer. */
async function logOut(call: RestCall) {
  const cookies: unknown[] = []
  const answer = await auth
    .rest(call)
    .logout({}, { onHeaders: (headers) => cookies.push(...headers.get('set-cookie')) })
  expect(answer).toEqual({ success: true })
  return cookies
}

describe('Logout', () => {
  it("ends the session of its token: token, cookie and key are nobody's any more", async () => {
    const { token, apiKey } = await auth.register()
    expect(await logOut({ bearer: token })).toEqual([CLEARED])
    for (const call of [{ bearer: token }, { bearer: apiKey }, { cookie: `instatunnel_session=${token}` }])
      expect(await auth.check(WHO_AM_I, call)).toEqual(unauthorized)
  })

  it('ends the session of its cookie', async () => {
    const { token, apiKey } = await auth.register()
    expect(await logOut({ cookie: `instatunnel_session=${token}` })).toEqual([CLEARED])
    expect(await auth.check(WHO_AM_I, { bearer: apiKey })).toEqual(unauthorized)
  })

  it('ends every session that its cookies name, and clears each of the names', async () => {
    const [now, before, other] = [await auth.register(), await auth.register(), await auth.register()]
    const cookie = `instatunnel_session=${now.token}; a=b; session=${before.token}; instatunnel_session=${other.token}`
    expect(await logOut({ cookie })).toEqual([CLEARED, CLEARED.replace('instatunnel_session', 'session')])
    for (const { token, apiKey } of [now, before, other])
      for (const bearer of [token, apiKey])
        expect(await auth.check(WHO_AM_I, { bearer })).toEqual(unauthorized)
    // A cookie of another app that has one of our names stays.
    const { token } = await auth.register()
    expect(await logOut({ cookie: `session=flask; instatunnel_session=${token}` })).toEqual([CLEARED])
  })

  it('ends the sessions of its cookies beside the bearer that it is called with, not for another site', async () => {
    const [mine, theirs] = [await auth.register(), await auth.register()]
    const cookie = `session=${theirs.token}`
    const again = await auth.login(mine)
    await logOut({ bearer: again.token, cookie, origin: 'https://evil.example' })
    expect(await auth.check(WHO_AM_I, { bearer: theirs.token })).toMatchObject({ admitted: true })
    await logOut({ bearer: auth.neighbours.addKey({ userId: mine.id }).secret, cookie })
    expect(await auth.check(WHO_AM_I, { bearer: theirs.token })).toEqual(unauthorized)
    expect(await auth.check(WHO_AM_I, { bearer: mine.token })).toMatchObject({ admitted: true })
  })

  it('ends no session by a token that is forged', async () => {
    const [mine, theirs] = [await auth.register(), await auth.register()]
    const [head, , signature] = mine.token.split('.')
    const forged = `${head}.${theirs.token.split('.')[1]}.${signature}`
    await logOut({ cookie: `instatunnel_session=${mine.token}; session=${forged}` })
    expect(await auth.check(WHO_AM_I, { bearer: theirs.token })).toMatchObject({ admitted: true })
  })

  it("ends a session by the session's own key", async () => {
    const { token, apiKey } = await auth.register()
    await logOut({ bearer: apiKey })
    expect(await auth.check(WHO_AM_I, { bearer: token })).toEqual(unauthorized)
    expect(await auth.check(WHO_AM_I, { bearer: apiKey })).toEqual(unauthorized)
  })

  it('has keys revoke a key that belongs to no session, and leaves all sessions', async () => {
    const { id, token, apiKey } = await auth.register()
    const { secret, key } = auth.neighbours.addKey({ userId: id })
    await logOut({ bearer: secret })
    expect(auth.neighbours.revoked).toContainEqual({ keyId: key.id, reason: 'logout' })
    expect(await auth.check(WHO_AM_I, { bearer: secret })).toEqual(unauthorized)
    for (const bearer of [token, apiKey])
      expect(await auth.check(WHO_AM_I, { bearer })).toMatchObject({ admitted: true })
  })

  it('ends that session only', async () => {
    const person = await auth.register()
    const other = await auth.login(person)
    await logOut({ bearer: person.token })
    expect(await auth.check(WHO_AM_I, { bearer: other.token })).toMatchObject({ admitted: true })
  })

  it('needs no scope: a key that may do nothing may still be thrown away', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: [] })
    await logOut({ bearer: secret })
    expect(await auth.check(WHO_AM_I, { bearer: secret })).toEqual(unauthorized)
  })

  it('succeeds for all who log one session out at the same time', async () => {
    const { token } = await auth.register()
    const admitted = await Promise.all(
      Array.from({ length: 5 }, () =>
        auth.check('/instatunnel.auth.v1.AuthService/Logout', { bearer: token }),
      ),
    )
    const identities = admitted.map((checked) => (checked.admitted ? checked.headers : {}))
    const answers = await Promise.all(identities.map((metadata) => auth.callWith(metadata).logout()))
    expect(answers).toEqual(Array(5).fill({ success: true }))
  })

  it('answers 503 where keys is away, and the key goes on working', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id })
    const checked = await auth.check('/instatunnel.auth.v1.AuthService/Logout', { bearer: secret })
    auth.neighbours.away.keys = true
    await expect(auth.callWith(checked.admitted ? checked.headers : {}).logout()).rejects.toMatchObject({
      code: 14,
    })
    auth.neighbours.away.keys = false
    expect(await auth.check(WHO_AM_I, { bearer: secret })).toMatchObject({ admitted: true })
  })
})
