import { scopesOfRole } from '@instatunnel/kit/scope'
import { afterAll, describe, expect, it } from 'vitest'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())

describe('WhoAmI', () => {
  it('tells of a session: the user, its end, all that the user may do', async () => {
    const { id, email, token } = await auth.register({ name: 'Ada' })
    const answer = await auth.rest({ bearer: token }).whoAmI()
    expect(answer).toEqual({
      user: {
        id,
        email,
        name: 'Ada',
        username: email.split('@')[0],
        plan: 'free',
        role: 'user',
        status: 'active',
        createdAt: expect.any(Date),
      },
      plan: 'free',
      credential: {
        type: 'session',
        id: expect.stringMatching(/^ses_/),
        key: '',
        scopes: scopesOfRole('user'),
        expiresAt: expect.any(Date),
      },
    })
  })

  it('tells of a key: masked, its scopes sorted, its end', async () => {
    const { id } = await auth.register()
    const expiresAt = new Date(Math.floor(Date.now() / 1000) * 1000 + 60_000)
    const { secret, key } = auth.neighbours.addKey({
      userId: id,
      permissions: ['tunnels:write', 'account:read'],
      expiresAt,
    })
    expect((await auth.rest({ bearer: secret }).whoAmI()).credential).toEqual({
      type: 'api_key',
      id: key.id,
      key: `it_***...${secret.slice(-3)}`,
      scopes: ['account:read', 'tunnels:write'],
      expiresAt,
    })
  })

  it("tells that a session's key has no end of its own", async () => {
    const { apiKey } = await auth.register()
    expect((await auth.rest({ bearer: apiKey }).whoAmI()).credential).toMatchObject({
      type: 'api_key',
      expiresAt: undefined,
    })
  })

  it('needs no scope', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: [] })
    expect((await auth.rest({ bearer: secret }).whoAmI()).credential?.scopes).toEqual([])
  })
})
