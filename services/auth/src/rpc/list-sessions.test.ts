import { refused } from '@instatunnel/test/refused'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, scopeMissing } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const clock = { now: new Date() }
const auth = await startAuth({}, { now: () => clock.now })
afterAll(() => auth.close())

const sessionIn = (token: string) => String(decodeJwt(token).sid)

describe('ListSessions', () => {
  it('lists the live ones, newest first, and says which is in use', async () => {
    const person = await auth.register()
    const second = await auth.login(person)
    clock.now = new Date(clock.now.getTime() + 1)
    const third = await auth.login(person)
    await auth.rest({ bearer: second.token }).logout()
    const { sessions, nextPageToken } = await auth.rest({ bearer: person.apiKey }).listSessions()
    expect(sessions).toEqual([
      {
        id: sessionIn(third.token),
        createdAt: expect.any(Date),
        expiresAt: third.expiresAt,
        userAgent: expect.stringMatching(/^grpc-node-js/),
        address: '203.0.113.7',
        current: false,
      },
      expect.objectContaining({ id: sessionIn(person.token), current: true }),
    ])
    expect(nextPageToken).toBe('')
  })

  it("shows nobody else's, and none as in use to a key of its own", async () => {
    const [ada, grace] = [await auth.register(), await auth.register()]
    const { secret } = auth.neighbours.addKey({ userId: ada.id })
    const { sessions } = await auth.rest({ bearer: secret }).listSessions()
    expect(sessions.map(({ id, current }) => ({ id, current }))).toEqual([
      { id: sessionIn(ada.token), current: false },
    ])
    expect(sessions.map(({ id }) => id)).not.toContain(sessionIn(grace.token))
  })

  it('pages without losing or repeating one', async () => {
    const person = await auth.register()
    const tokens = [person.token]
    for (let n = 0; n < 6; n++) {
      clock.now = new Date(clock.now.getTime() + 1)
      tokens.push((await auth.login(person)).token)
    }
    const rest = auth.rest({ bearer: person.token })
    const seen: string[] = []
    let pageToken = ''
    do {
      const page = await rest.listSessions({ pageSize: 3, pageToken })
      expect(page.sessions.length).toBeLessThanOrEqual(3)
      seen.push(...page.sessions.map(({ id }) => id))
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    expect(seen).toEqual(tokens.map(sessionIn).reverse())
  })

  it('lists none that has run out', async () => {
    const person = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: person.id })
    clock.now = new Date(clock.now.getTime() + 7 * 24 * 60 * 60 * 1000)
    expect((await auth.rest({ bearer: secret }).listSessions()).sessions).toEqual([])
  })

  it.each([
    [{ pageSize: -1 }, { field: 'page_size', message: 'must not be negative' }],
    [{ pageToken: 'x' }, { field: 'page_token', message: 'must be the next_page_token of the page before' }],
    [
      { pageToken: Buffer.from('user_01aryz6s410000000000000000').toString('base64url') },
      { field: 'page_token', message: 'must be the next_page_token of the page before' },
    ],
  ])('refuses %j', async (request, fault) => {
    const { token } = await auth.register()
    expect(await refused(auth.rest({ bearer: token }).listSessions(request))).toEqual(invalid(fault))
  })

  it('needs account:read', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['account:write'] })
    await expect(auth.rest({ bearer: secret }).listSessions()).rejects.toMatchObject({
      checked: scopeMissing('account:read'),
    })
  })
})
