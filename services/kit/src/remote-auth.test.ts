import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import {
  type AuthenticateRequest,
  type AuthenticateResponse,
  AuthorizationServiceService,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { createIdentitySigner, newKeyPair } from '@instatunnel/test/identity'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createServiceClient } from './client.ts'
import type { Foundation } from './foundation.ts'
import { invalidFields, Refusal } from './refusal.ts'
import { createRemoteGuard } from './remote-auth.ts'
import type { Rule } from './rules.ts'
import { createServiceSigner, createServiceVerifier } from './service-identity.ts'
import { refusalFrom, statusOf } from './status.ts'
import { createTransport } from './tls.ts'

const now = () => new Date()
const keys = newKeyPair()
const signer = createIdentitySigner()
const rule: Rule = { kind: 'scope', scope: 'keys:manage', limit: 'read', safe: true }

/** The guard of a service, before an auth that decides about bearers as a test says. */
async function guardBefore(decide: (request: AuthenticateRequest) => Promise<string>) {
  const server = new Server()
  const away = (_: unknown, answer: sendUnaryData<never>) =>
    answer({ code: status.UNIMPLEMENTED, details: '' })
  server.addService(AuthorizationServiceService, {
    verifyKey: away,
    listIdentityKeys: (_: unknown, answer: sendUnaryData<object>) => answer(null, { keys: signer.keys }),
    authenticate: (
      { request }: ServerUnaryCall<AuthenticateRequest, AuthenticateResponse>,
      answer: sendUnaryData<AuthenticateResponse>,
    ) =>
      decide(request).then(
        (identity) => answer(null, { identity }),
        (error) => answer(error instanceof Refusal ? statusOf(error, {}) : error),
      ),
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  onTestFinished(() => server.forceShutdown())
  const sign = createServiceSigner({ service: 'keys', privateKey: keys.privateKey, now })
  const client: Foundation['client'] = (definition, target, audience) => {
    const { client: clear } = createTransport({ services: [] })
    const opened = createServiceClient({ definition, target, credentials: clear, audience, sign })
    onTestFinished(() => opened.close())
    return opened
  }
  const verifyService = createServiceVerifier({ service: 'keys', publicKeys: {}, now })
  const foundation = { client, verifyService } as Partial<Foundation> as Foundation
  const { guard } = createRemoteGuard(foundation, `127.0.0.1:${port}`, now)
  const call = (bearer: string) => {
    const metadata = new Metadata()
    metadata.set('authorization', `Bearer ${bearer}`)
    const method = '/instatunnel.keys.v1.ApiKeyService/ListKeys'
    return guard({ metadata, method, rule, peerAddress: () => '192.0.2.1' })
  }
  return { call, stop: () => server.forceShutdown() }
}

describe('createRemoteGuard', () => {
  it('has auth decide about a bearer, for the method that is called, and believes its identities only', async () => {
    const asked: AuthenticateRequest[] = []
    const { call } = await guardBefore(async (request) => {
      asked.push(request)
      return signer.sign('user_1')
    })
    expect(await call('it_secret')).toMatchObject({ kind: 'user', identity: { userId: 'user_1' } })
    expect(asked).toEqual([{ bearer: 'it_secret', method: '/instatunnel.keys.v1.ApiKeyService/ListKeys' }])

    const liar = createIdentitySigner()
    const { call: callLiar } = await guardBefore(() => liar.sign('user_1'))
    await expect(callLiar('it_secret')).rejects.toMatchObject({ reason: 'CREDENTIAL_INVALID' })
  })

  it.each([
    [new Refusal('CREDENTIAL_INVALID', 'Invalid or missing API key'), 'CREDENTIAL_INVALID'],
    [new Refusal('SCOPE_MISSING', 'Insufficient', { requiredScope: 'keys:manage' }), 'SCOPE_MISSING'],
    [new Refusal('TUNNEL_TOKEN_CONNECTS_ONLY', 'good for connecting only'), 'TUNNEL_TOKEN_CONNECTS_ONLY'],
    [new Refusal('ADDRESS_NOT_ALLOWED', 'not from this address'), 'ADDRESS_NOT_ALLOWED'],
    [new Refusal('RATE_LIMITED', 'API rate limit exceeded', { retryAfterSeconds: 7 }), 'RATE_LIMITED'],
    [new Refusal('USAGE_EXCEEDED', 'its uses are spent'), 'USAGE_EXCEEDED'],
  ])("answers with auth's refusal, its words and its details: %s", async (refusal, reason) => {
    const { call } = await guardBefore(() => Promise.reject(refusal))
    await expect(call('it_secret')).rejects.toMatchObject({
      reason,
      message: refusal.message,
      details: refusal.details,
    })
  })

  it('answers UNAVAILABLE where auth cannot decide, or is not there', async () => {
    const cannot = new Refusal('UNAVAILABLE', 'keys is away', { retryAfterSeconds: 1 })
    const { call, stop } = await guardBefore(() => Promise.reject(cannot))
    const refusalOf = (failed: Promise<unknown>) => failed.then(() => undefined, refusalFrom)
    expect(await refusalOf(call('it_secret'))).toMatchObject({ reason: 'UNAVAILABLE' })
    stop()
    expect(await refusalOf(call('it_secret'))).toMatchObject({ reason: 'UNAVAILABLE' })
  })

  // Such a failure is between services: it must not tell the caller that the request was wrong.
  it.each([
    ['a failure of its own', { code: status.INTERNAL, details: 'boom' }],
    ['that it does not know us', new Refusal('SERVICES_ONLY', 'Only services of the platform may call this')],
    ['that it does not know the method', invalidFields([{ field: 'method', message: 'must be an rpc' }])],
  ])('takes no "no" for the answer where auth says %s', async (_, failure) => {
    const { call } = await guardBefore(() => Promise.reject(failure))
    const error = await call('it_secret').catch((thrown: unknown) => thrown)
    expect(refusalFrom(error)).toBeUndefined()
  })
})
