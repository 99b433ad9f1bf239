import { createIdentityVerifier, IDENTITY_TOKEN } from '@instatunnel/kit/identity'
import { decodeProtectedHeader } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())

describe('ListIdentityKeys', () => {
  it("gives what verifies auth's identities, and nothing private", async () => {
    const { keys } = await auth.internal.listIdentityKeys()
    expect(keys).toEqual([
      {
        kid: expect.stringMatching(/^identity_/),
        publicKey: expect.stringMatching(/^-----BEGIN PUBLIC KEY-----\n/),
      },
    ])
    const { id, token } = await auth.register()
    const checked = await auth.check('/instatunnel.keys.v1.ApiKeyService/ListKeys', { bearer: token })
    const identity = checked.admitted ? (checked.headers['x-instatunnel-identity'] as string) : ''
    expect(decodeProtectedHeader(identity)).toEqual({
      alg: 'EdDSA',
      typ: IDENTITY_TOKEN.typ,
      kid: keys[0]?.kid,
    })
    const verify = createIdentityVerifier({ listKeys: async () => keys, now: () => new Date() })
    expect(await verify(identity)).toMatchObject({ userId: id, plan: 'free', role: 'user' })
  })

  it('gives no key that sessions are signed with', async () => {
    const { keys } = await auth.internal.listIdentityKeys()
    const { token } = await auth.register()
    expect(keys.map(({ kid }) => kid)).not.toContain(decodeProtectedHeader(token).kid)
  })
})
