import { Metadata } from '@grpc/grpc-js'
import { createIdentitySigner, newKeyPair } from '@instatunnel/test/identity'
import { describe, expect, it } from 'vitest'
import { createGuard, IDENTITY_METADATA, SERVICE_METADATA } from './guard.ts'
import { createIdentityVerifier } from './identity.ts'
import { Refusal } from './refusal.ts'
import type { Rule } from './rules.ts'
import { createServiceSigner, createServiceVerifier } from './service-identity.ts'

const now = () => new Date()
const identities = createIdentitySigner()
const authKeys = newKeyPair()
const sign = createServiceSigner({ service: 'auth', privateKey: authKeys.privateKey, now })
const relayKeys = newKeyPair()
const signAsRelay = createServiceSigner({ service: 'relay', privateKey: relayKeys.privateKey, now })
const bearers: { bearer: string; method: string }[] = []

const options: Parameters<typeof createGuard>[0] = {
  verifyIdentity: createIdentityVerifier({ listKeys: async () => identities.keys, now }),
  verifyService: createServiceVerifier({
    service: 'keys',
    publicKeys: { auth: authKeys.publicKey, relay: relayKeys.publicKey },
    now,
  }),
  admitPublic: async ({ method, peerAddress }) => `${peerAddress()} for ${method}`,
  authenticate: async (bearer, method) => {
    bearers.push({ bearer, method })
    if (bearer !== 'it_good') throw new Refusal('CREDENTIAL_INVALID', 'Invalid or missing API key')
    return identities.sign('user_of_bearer', { scopes: ['tunnels:read'] })
  },
}
const guard = createGuard(options)

const method = '/instatunnel.keys.v1.ApiKeyService/ListKeys'
const rules = {
  public: { kind: 'public', limit: 'auth', safe: false },
  internal: { kind: 'internal', callers: ['auth', 'tunnels'] },
  any: { kind: 'scope', scope: 'any', limit: 'write', safe: false },
  read: { kind: 'scope', scope: 'tunnels:read', limit: 'read', safe: true },
  manage: { kind: 'scope', scope: 'keys:manage', limit: 'read', safe: true },
} as const satisfies Record<string, Rule>

const call = (rule: Rule, headers: Record<string, string> = {}, certified?: string[]) => {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  return guard({ metadata, method, rule, certified, peerAddress: () => '192.0.2.1' })
}

const missing = { reason: 'CREDENTIAL_MISSING', message: 'Invalid or missing API key' }
const servicesOnly = { reason: 'SERVICES_ONLY' }
const notThis = { reason: 'NOT_FOR_THIS_SERVICE', message: 'This service may not call this' }

describe('a public rpc', () => {
  const anyone = { kind: 'anyone', address: `192.0.2.1 for ${method}` }

  it('admits anyone, as nobody in particular, whatever they say they are', async () => {
    expect(await call(rules.public)).toEqual(anyone)
    expect(await call(rules.public, { [IDENTITY_METADATA]: await identities.sign('user_1') })).toEqual(anyone)
  })

  it('admits nobody where its service does not say whom', async () => {
    const { admitPublic, ...without } = options
    const metadata = new Metadata()
    const peerAddress = () => '192.0.2.1'
    await expect(
      createGuard(without)({ metadata, method, rule: rules.public, peerAddress }),
    ).rejects.toMatchObject(missing)
  })
})

describe('an internal rpc', () => {
  it("admits a service by its token, and tells the service's name", async () => {
    expect(await call(rules.internal, { [SERVICE_METADATA]: await sign('keys') })).toEqual({
      kind: 'service',
      service: 'auth',
    })
  })

  it('admits a service by the name in its certificate', async () => {
    expect(await call(rules.internal, {}, ['tunnels'])).toEqual({ kind: 'service', service: 'tunnels' })
  })

  it('refuses a service that its rule does not name, however it shows who it is', async () => {
    const relay = { [SERVICE_METADATA]: await signAsRelay('keys') }
    await expect(call(rules.internal, relay)).rejects.toMatchObject(notThis)
    await expect(call(rules.internal, relay, ['relay'])).rejects.toMatchObject(notThis)
    await expect(call(rules.internal, {}, ['relay'])).rejects.toMatchObject(notThis)
  })

  it('refuses a service whose token and certificate do not agree', async () => {
    const auth = { [SERVICE_METADATA]: await sign('keys') }
    expect(await call(rules.internal, auth, ['auth'])).toEqual({ kind: 'service', service: 'auth' })
    for (const certified of [['relay'], ['tunnels'], []])
      await expect(call(rules.internal, auth, certified)).rejects.toMatchObject(servicesOnly)
    const forged = { [SERVICE_METADATA]: 'e30.e30.' }
    for (const certified of [['auth'], ['tunnels'], []])
      await expect(call(rules.internal, forged, certified)).rejects.toMatchObject(servicesOnly)
  })

  it('has a certificate that names several services say by a token which one calls', async () => {
    const auth = { [SERVICE_METADATA]: await sign('keys') }
    expect(await call(rules.internal, auth, ['keys', 'auth'])).toEqual({ kind: 'service', service: 'auth' })
    await expect(call(rules.internal, {}, ['keys', 'auth'])).rejects.toMatchObject(servicesOnly)
  })

  it('refuses users, admins too, and those who bring nothing', async () => {
    const admin = await identities.sign('user_1', { role: 'admin', scopes: ['admin:write'] })
    await expect(call(rules.internal)).rejects.toMatchObject(servicesOnly)
    await expect(call(rules.internal, { [IDENTITY_METADATA]: admin })).rejects.toMatchObject(servicesOnly)
    await expect(call(rules.internal, { [SERVICE_METADATA]: admin })).rejects.toMatchObject(servicesOnly)
    await expect(call(rules.internal, { authorization: 'Bearer it_good' })).rejects.toMatchObject(
      servicesOnly,
    )
  })
})

describe('an rpc with a scope', () => {
  it('admits an identity that holds it', async () => {
    const token = await identities.sign('user_1', { scopes: ['tunnels:read'] })
    expect(await call(rules.read, { [IDENTITY_METADATA]: token })).toMatchObject({
      kind: 'user',
      identity: { userId: 'user_1' },
    })
  })

  it('refuses one that does not, naming the scope', async () => {
    const token = await identities.sign('user_1', { scopes: ['tunnels:read', 'tunnels:*', '*'] })
    await expect(call(rules.manage, { [IDENTITY_METADATA]: token })).rejects.toMatchObject({
      reason: 'SCOPE_MISSING',
      message: 'Insufficient permissions for this operation',
      details: { requiredScope: 'keys:manage' },
    })
  })

  it('admits an identity without any scope to what needs none', async () => {
    const token = await identities.sign('user_1', { scopes: [] })
    expect(await call(rules.any, { [IDENTITY_METADATA]: token })).toMatchObject({ kind: 'user' })
  })

  it('takes the identity, not a bearer that comes along', async () => {
    bearers.length = 0
    const headers = { [IDENTITY_METADATA]: 'eyJ.not.one', authorization: 'Bearer it_good' }
    await expect(call(rules.read, headers)).rejects.toMatchObject({ reason: 'CREDENTIAL_INVALID' })
    expect(bearers).toEqual([])
  })

  it('asks auth about a bearer, for this very method, and checks the scope itself', async () => {
    bearers.length = 0
    expect(await call(rules.read, { authorization: 'bearer   it_good' })).toMatchObject({
      identity: { userId: 'user_of_bearer' },
    })
    expect(bearers).toEqual([{ bearer: 'it_good', method }])
    await expect(call(rules.manage, { authorization: 'Bearer it_good' })).rejects.toMatchObject({
      reason: 'SCOPE_MISSING',
    })
  })

  it("passes auth's refusal on", async () => {
    await expect(call(rules.read, { authorization: 'Bearer it_bad' })).rejects.toMatchObject({
      reason: 'CREDENTIAL_INVALID',
    })
  })

  it.each(['', 'it_good', 'Bearer', 'Bearer ', 'Basic it_good', 'Bearer it_good it_bad'])(
    'asks nobody about %j',
    async (authorization) => {
      bearers.length = 0
      await expect(call(rules.read, { authorization })).rejects.toMatchObject(missing)
      expect(bearers).toEqual([])
    },
  )

  it('admits no service: they have no user', async () => {
    await expect(call(rules.read, {}, ['tunnels'])).rejects.toMatchObject(missing)
    await expect(call(rules.read, { [SERVICE_METADATA]: await sign('keys') })).rejects.toMatchObject(missing)
  })
})
