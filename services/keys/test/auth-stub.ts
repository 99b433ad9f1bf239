import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import type { IdentityClaims } from '@instatunnel/kit/identity'
import type { Role } from '@instatunnel/kit/scope'
import {
  AuthorizationServiceService,
  type ExplainKeyRequest,
  type ExplainKeyResponse,
  type FindUserRequest,
  type FindUserResponse,
  type VerifyKeyRequest,
  type VerifyKeyResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { createIdentitySigner } from '@instatunnel/test/identity'

// Whatever a test makes of the clock.
const LIFE_SECONDS = 100 * 365 * 24 * 60 * 60

/** A stand-in for auth, the one neighbour that tests do not run: it vouches for whomever a test says. */
export interface AuthStub {
  readonly address: string
  /** An identity token, as auth's Check would add it to a call. */
  sign(userId: string, claims: Partial<IdentityClaims>): Promise<string>
  /** What VerifyKey was asked. */
  readonly asked: VerifyKeyRequest[]
  /** What VerifyKey answers; undefined where auth is away. */
  code: string | undefined
  /** What VerifyKey answers beside it. */
  retryAfter: number | undefined
  /** What ExplainKey was asked. */
  readonly explained: ExplainKeyRequest[]
  /** What ExplainKey answers; undefined where it finds no such key. */
  checks: ExplainKeyResponse['checks'] | undefined
  /** The accounts that FindUser finds; undefined where auth is away. */
  users: Map<string, Role> | undefined
  close(): Promise<void>
}

/** Serves auth's internal service on a free port: its identity keys are real, it knows no bearer. */
export async function startAuthStub(): Promise<AuthStub> {
  const signer = createIdentitySigner({ now: () => new Date('2020-01-01') })
  const nobody = { code: status.NOT_FOUND, details: 'no such account' }
  const away = { code: status.UNAVAILABLE, details: 'the stub is away' }
  const server = new Server()
  server.addService(AuthorizationServiceService, {
    listIdentityKeys: (_call: unknown, answer: sendUnaryData<unknown>) => answer(null, { keys: signer.keys }),
    authenticate: (_call: unknown, answer: sendUnaryData<unknown>) => answer(away),
    findUser: (
      { request: { userId } }: ServerUnaryCall<FindUserRequest, FindUserResponse>,
      answer: sendUnaryData<FindUserResponse>,
    ) => {
      if (!stub.users) return answer(away)
      const role = stub.users.get(userId)
      return role ? answer(null, { role }) : answer(nobody)
    },
    verifyKey: (
      { request }: ServerUnaryCall<VerifyKeyRequest, VerifyKeyResponse>,
      answer: sendUnaryData<VerifyKeyResponse>,
    ) => {
      stub.asked.push(request)
      return stub.code === undefined
        ? answer(away)
        : answer(null, { code: stub.code, retryAfter: stub.retryAfter })
    },
    explainKey: (
      { request }: ServerUnaryCall<ExplainKeyRequest, ExplainKeyResponse>,
      answer: sendUnaryData<ExplainKeyResponse>,
    ) => {
      stub.explained.push(request)
      const { code, checks } = stub
      if (code === undefined) return answer(away)
      return checks ? answer(null, { checks }) : answer(nobody)
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const stub: AuthStub = {
    address: `127.0.0.1:${port}`,
    asked: [],
    code: 'VALID',
    retryAfter: undefined,
    explained: [],
    checks: [],
    users: new Map(),
    sign: (userId, claims) => signer.sign(userId, claims, LIFE_SECONDS),
    close: async () => server.forceShutdown(),
  }
  return stub
}
