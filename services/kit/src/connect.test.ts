import { createConnectSigner, createIdentitySigner } from '@instatunnel/test/identity'
import { forgeries } from '@instatunnel/test/jwt'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { type ConnectClaims, createConnectVerifier } from './connect.ts'
import { createIdentityVerifier } from './identity.ts'

const clock = { now: new Date('2026-07-01T12:00:00Z') }
const now = () => clock.now
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}
const signer = createConnectSigner({ now })
const trust = { listKeys: async () => signer.keys, now }
const verify = createConnectVerifier(trust)
const invalid = { reason: 'CREDENTIAL_INVALID', message: 'Invalid connect token' }

const claims: ConnectClaims = {
  tunnel: { id: 'tun_1', subdomain: 'docs-demo', tokenGeneration: 3 },
  plan: 'pro',
  mode: 'mcp',
  credential: { type: 'api_key', id: 'key_1', sessionId: 'ses_1', expiresAt: 1_800_000_000 },
  address: '203.0.113.7',
}

describe('createConnectVerifier', () => {
  it('tells which tunnel an agent may connect, and with what', async () => {
    expect(await verify(await signer.sign('user_1', claims))).toEqual({
      userId: 'user_1',
      issuedAt: now().getTime() / 1000,
      ...claims,
    })
  })

  it('refuses a token that is over, known as it may be, as a fault of our clocks', async () => {
    const token = await signer.sign('user_1', claims)
    pass(89_999)
    await expect(verify(token)).resolves.toMatchObject({ userId: 'user_1' })
    pass(1)
    await expect(verify(token)).rejects.toMatchObject({ reason: 'CLOCKS_DIFFER' })
  })

  it('takes no identity for a connect token, and the identity verifier no connect token', async () => {
    const identities = createIdentitySigner({ now })
    const trusting = { listKeys: async () => [...identities.keys], now }
    const identity = await identities.sign('user_1')
    await expect(createIdentityVerifier(trusting)(identity)).resolves.toMatchObject({ userId: 'user_1' })
    await expect(createConnectVerifier(trusting)(identity)).rejects.toMatchObject(invalid)
    const connect = await signer.sign('user_1', claims)
    await expect(createIdentityVerifier(trust)(connect)).rejects.toMatchObject({
      reason: 'CREDENTIAL_INVALID',
      message: 'Invalid identity',
    })
  })

  it.each<[string, { typ?: string; audience?: string; issuer?: string }]>([
    ["an identity's type", { typ: 'identity+jwt' }],
    ["an identity's audience", { audience: 'instatunnel-services' }],
    ["another's issuer", { issuer: 'relay' }],
  ])('refuses a token with %s, well signed as it is', async (_, { typ, audience, issuer }) => {
    const token = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'EdDSA', typ: typ ?? 'connect+jwt', kid: signer.keys[0]?.kid as string })
      .setIssuer(issuer ?? 'instatunnel-auth')
      .setAudience(audience ?? 'instatunnel-relay')
      .setSubject('user_1')
      .setExpirationTime(Math.floor(now().getTime() / 1000) + 60)
      .sign(signer.privateKey)
    await expect(verify(token)).rejects.toMatchObject(invalid)
  })

  it("refuses a token that somebody else's key signed", async () => {
    const token = await createConnectSigner({ now }).sign('user_1', claims)
    await expect(verify(token)).rejects.toMatchObject(invalid)
  })

  it('refuses whatever an attacker makes of a good one', async () => {
    const better = { sub: 'user_2', tunnel: { ...claims.tunnel, id: 'tun_2' } }
    const good = await signer.sign('user_1', claims)
    const tried = forgeries(good, { better, publicKey: signer.keys[0]?.publicKey as string })
    expect(tried.length).toBeGreaterThan(20)
    for (const [how, token] of tried) await expect(verify(token), how).rejects.toMatchObject(invalid)
    expect(await verify(good)).toMatchObject({ userId: 'user_1' })
  })

  it.each(['', '..', 'a.b.c', 'x'.repeat(100_000)])('refuses %j', async (token) => {
    await expect(verify(token)).rejects.toMatchObject(invalid)
  })
})
