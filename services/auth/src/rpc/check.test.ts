import { Client, credentials } from '@grpc/grpc-js'
import { connectPath } from '@instatunnel/kit/connect-request'
import { createLog } from '@instatunnel/kit/log'
import { Refusal } from '@instatunnel/kit/refusal'
import { AuthServiceService } from '@instatunnel/proto/auth/v1/auth_service'
import {
  AuthorizationService,
  CheckRequest,
  CheckResponse,
} from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { rpcsOf } from '@instatunnel/test/rpcs'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { checkRequest } from '../../test/check.ts'
import { startAuth } from '../../test/start-auth.ts'
import type { Decision } from '../domain/decision.ts'
import { check as checkOf } from './check.ts'

const auth = await startAuth({
  LIMIT_AUTH_PER_MINUTE: '2',
  LIMIT_READ_PER_MINUTE: '7',
  LIMIT_WRITE_PER_MINUTE: '3',
  LIMIT_CONNECT_PER_MINUTE: '30',
})
const channel = new Client(`127.0.0.1:${auth.checkPort}`, credentials.createInsecure())
afterAll(async () => {
  channel.close()
  await auth.close()
})

/** Check's answer as Envoy gets it. */
const { check } = rpcsOf(channel, { check: AuthorizationService.check })
const LIST_KEYS = '/instatunnel.keys.v1.ApiKeyService/ListKeys'
const REGISTER = '/instatunnel.auth.v1.AuthService/Register'

/** A header that replaces what the client may have sent under its name. */
const header = (key: string, value: unknown, appendAction = 2) => ({
  header: { key, value, rawValue: Buffer.alloc(0) },
  append: undefined,
  appendAction,
  keepEmptyValue: false,
})

describe('Check', () => {
  it("admits with an identity, takes the credential away, and tells the limit's state", async () => {
    const { token } = await auth.register()
    const answer = await check(checkRequest(LIST_KEYS, { bearer: token }))
    expect(answer).toEqual({
      status: { code: 0, message: '', details: [] },
      httpResponse: {
        $case: 'okResponse',
        value: {
          headers: [
            header('x-instatunnel-identity', expect.stringMatching(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/)),
            header('x-instatunnel-rpc', LIST_KEYS),
          ],
          headersToRemove: ['authorization', 'cookie'],
          dynamicMetadata: undefined,
          responseHeadersToAdd: [
            header('ratelimit-limit', '7', 1),
            header('ratelimit-remaining', '6', 1),
            header('ratelimit-reset', '60', 1),
          ],
          queryParametersToSet: [],
          queryParametersToRemove: [],
        },
      },
      dynamicMetadata: undefined,
    })
  })

  it("admits anyone to a public rpc, with the client's address and no identity", async () => {
    const answer = await check(checkRequest(REGISTER, { address: '198.51.100.9', cookie: 'session=eyJ.x.y' }))
    expect(answer.httpResponse).toMatchObject({
      $case: 'okResponse',
      value: {
        headers: [
          header('x-instatunnel-client-address', expect.stringMatching(/^\d+\.[\w-]{43}\.198\.51\.100\.9$/)),
          header('x-instatunnel-rpc', REGISTER),
        ],
        headersToRemove: ['authorization', 'cookie'],
        responseHeadersToAdd: [
          header('ratelimit-limit', '2', 1),
          header('ratelimit-remaining', '1', 1),
          header('ratelimit-reset', '60', 1),
        ],
      },
    })
  })

  it('admits an agent with a connect token that replaces whatever it sent, by what the route says alone', async () => {
    const { id, token } = await auth.register()
    const { tunnelId } = auth.neighbours.addTunnel({ userId: id })
    const path = connectPath(tunnelId)
    const answer = await check(checkRequest(path, { bearer: token, access: 'connect' }))
    expect(answer.httpResponse).toMatchObject({
      $case: 'okResponse',
      value: {
        headers: [header('x-instatunnel-connect', expect.stringMatching(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/))],
        headersToRemove: ['authorization', 'cookie'],
        responseHeadersToAdd: [
          header('ratelimit-limit', '30', 1),
          header('ratelimit-remaining', '29', 1),
          header('ratelimit-reset', '60', 1),
        ],
      },
    })
    expect(await check(checkRequest(path, { bearer: token }))).toMatchObject({ status: { code: 5 } })
    const rpc = await check(checkRequest(LIST_KEYS, { bearer: token, access: 'connect' }))
    expect(rpc).toMatchObject({ status: { code: 5 } })
  })

  it('refuses with the finished body, its type, and how to do better', async () => {
    const answer = await check(checkRequest(LIST_KEYS, {}))
    expect(answer).toEqual({
      status: { code: 16, message: 'Invalid or missing API key', details: [] },
      httpResponse: {
        $case: 'deniedResponse',
        value: {
          status: { code: 401 },
          headers: [
            header('content-type', 'application/json'),
            header('www-authenticate', 'Bearer realm="instatunnel"'),
          ],
          body: '{"error":"unauthorized","message":"Invalid or missing API key","code":4001}',
        },
      },
      dynamicMetadata: undefined,
    })
  })

  it('refuses past a limit with its state and when to come back', async () => {
    const call = checkRequest(REGISTER, { address: '198.51.100.10' })
    await check(call)
    await check(call)
    expect(await check(call)).toEqual({
      status: { code: 8, message: 'API rate limit exceeded', details: [] },
      httpResponse: {
        $case: 'deniedResponse',
        value: {
          status: { code: 429 },
          headers: [
            header('content-type', 'application/json'),
            header('ratelimit-limit', '2'),
            header('ratelimit-remaining', '0'),
            header('ratelimit-reset', '60'),
            header('retry-after', '60'),
          ],
          body: '{"error":"rate_limited","message":"API rate limit exceeded","code":4029,"retry_after":60}',
        },
      },
      dynamicMetadata: undefined,
    })
  })

  it('refuses a missing scope with its name', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['tunnels:read'] })
    const answer = await check(checkRequest(LIST_KEYS, { bearer: secret }))
    expect(answer).toMatchObject({
      status: { code: 7 },
      httpResponse: {
        value: {
          status: { code: 403 },
          headers: [header('content-type', 'application/json')],
          body: '{"error":"forbidden","message":"Insufficient permissions for this operation","code":4003,"required_scope":"keys:manage"}',
        },
      },
    })
  })

  it.each([
    '',
    '/',
    '/v1/nothing',
    '/instatunnel.keys.v1.ApiKeyService/DropKeys',
    '/instatunnel.keys.v1.ApiKeyService/ListKeys/',
    '/instatunnel.keys.v1.ApiKeyService/listkeys',
    '//instatunnel.keys.v1.ApiKeyService/ListKeys',
    '/instatunnel.keys.v1.ApiKeyService/ListKeys?x=1',
    '/instatunnel.keys.internal.v1.KeyDirectoryService/LookUpKeys',
    '/instatunnel.auth.internal.v1.AuthorizationService/ListIdentityKeys',
    '/envoy.service.auth.v3.Authorization/Check',
    '/grpc.health.v1.Health/Check',
    '__proto__',
  ])('admits nobody to %j', async (method) => {
    const { token } = await auth.register()
    expect(await auth.check(method, { bearer: token })).toEqual({
      admitted: false,
      code: 5,
      status: 404,
      headers: { 'content-type': 'application/json' },
      body: { error: 'not_found', message: 'There is nothing at this path.', code: 4004 },
    })
  })

  it('admits nobody by an empty request', async () => {
    expect(await check()).toMatchObject({ status: { code: 5 }, httpResponse: { $case: 'deniedResponse' } })
  })

  it('answers on the gateway’s port, and on no other', async () => {
    const rpcPort = new Client(`127.0.0.1:${auth.port}`, credentials.createInsecure())
    onTestFinished(() => rpcPort.close())
    const asked = rpcsOf(rpcPort, { check: AuthorizationService.check }).check(checkRequest(LIST_KEYS, {}))
    await expect(asked).rejects.toMatchObject({ code: 12 })
    const { whoAmI } = rpcsOf(channel, { whoAmI: AuthServiceService.whoAmI })
    await expect(whoAmI({})).rejects.toMatchObject({ code: 12 })
  })

  it('answers no decision at all while none can be made', async () => {
    auth.neighbours.away.keys = true
    await expect(check(checkRequest(LIST_KEYS, { bearer: 'it_0123456789abcdef' }))).rejects.toMatchObject({
      code: 14,
      details: 'Nothing can be decided right now',
    })
    auth.neighbours.away.keys = false
  })
})

describe('what the gate says', () => {
  const logged: string[] = []
  const log = createLog('auth', 'trace', { write: (line: string) => void logged.push(line) })
  const request = Buffer.from(CheckRequest.encode(checkRequest('/a.B/C?key=it_secret', {})).finish())
  const { signal } = new AbortController()

  /** What is answered where the gate says this, in whichever way. */
  const checkSaying = (say: () => Decision | Promise<Decision>) =>
    checkOf({
      gate: { decide: say, decideConnect: async () => say() },
      routeOf: () => ({ kind: 'rpc', rpc: '/a.B/C' }),
      handedOn: () => undefined,
      log,
      isReady: () => true,
    })
  const answering = async (say: () => Decision | Promise<Decision>) =>
    CheckResponse.decode((await checkSaying(say)(request, signal)).subarray(5))

  it('at once is answered at once, and the same as what it says later', async () => {
    const decision = { identity: 'eyJ.x.y', rate: { limit: 100, remaining: 99, resetSeconds: 60 } }
    expect(checkSaying(() => decision)(request, signal)).toBeInstanceOf(Buffer)
    expect(await answering(() => decision)).toEqual(await answering(async () => decision))
  })

  it('beside the limit is told to whoever is admitted and whoever is not', async () => {
    const headers = { deprecation: '@1790000000', sunset: 'Tue, 22 Sep 2026 13:46:40 GMT' }
    expect((await answering(() => ({ identity: 'eyJ.x.y', headers }))).httpResponse).toMatchObject({
      value: {
        responseHeadersToAdd: [
          header('deprecation', '@1790000000', 1),
          header('sunset', 'Tue, 22 Sep 2026 13:46:40 GMT', 1),
        ],
      },
    })
    const refusal = new Refusal('SCOPE_MISSING', 'no')
    expect((await answering(() => ({ refusal, headers }))).httpResponse).toMatchObject({
      value: {
        status: { code: 403 },
        headers: [
          header('content-type', 'application/json'),
          header('deprecation', '@1790000000'),
          header('sunset', 'Tue, 22 Sep 2026 13:46:40 GMT'),
        ],
      },
    })
  })

  it.each([
    ['throws', new Error('lost')],
    ['throws', new Refusal('TIMEOUT', 'lost')],
  ])(
    'is nothing where it %s %s: UNAVAILABLE, and the log has the method without its query',
    async (_, error) => {
      const unavailable = { reason: 'UNAVAILABLE', message: 'Nothing can be decided right now' }
      const throwing = () => {
        throw error
      }
      for (const say of [throwing, async () => throwing()]) {
        logged.length = 0
        await expect(answering(say)).rejects.toMatchObject(unavailable)
        expect(logged).toHaveLength(1)
        expect(JSON.parse(logged[0] ?? '')).toMatchObject({ method: '/a.B/C', msg: 'cannot decide' })
        expect(logged[0]).not.toContain('it_secret')
      }
    },
  )

  it.each([
    ['gives up its wait', (gone: AbortSignal) => gone.reason],
    ['is refused for that', () => new Refusal('UNAVAILABLE', 'The caller has gone')],
  ])(
    'is no more than debugging in the log where the caller goes away and the wait %s',
    async (_, errorOf) => {
      logged.length = 0
      const gone = new AbortController()
      const waiting = async () => {
        gone.abort()
        throw errorOf(gone.signal)
      }
      await expect(checkSaying(waiting)(request, gone.signal)).rejects.toMatchObject({
        reason: 'UNAVAILABLE',
      })
      expect(logged.map((line) => JSON.parse(line))).toMatchObject([{ level: 'debug', method: '/a.B/C' }])
      expect(logged[0]).not.toContain('stack')
    },
  )

  it('is an error in the log where the caller is gone and something else failed', async () => {
    logged.length = 0
    const failing = async () => {
      throw new Error('lost')
    }
    await expect(checkSaying(failing)(request, AbortSignal.abort())).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
    })
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([{ level: 'error', msg: 'cannot decide' }])
  })

  it('is not asked for where the request is none', () => {
    const answer = checkSaying(() => expect.unreachable())
    expect(() => answer(Buffer.from([10]), signal)).toThrow(
      expect.objectContaining({ reason: 'UNREADABLE_REQUEST' }),
    )
  })
})
