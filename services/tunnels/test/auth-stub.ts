import { Server, ServerCredentials, type sendUnaryData, status } from '@grpc/grpc-js'
import type { IdentityClaims } from '@instatunnel/kit/identity'
import { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { createIdentitySigner } from '@instatunnel/test/identity'

// So that an identity outlives whatever a test makes of the service's clock.
const LIFE_SECONDS = 100 * 365 * 24 * 60 * 60

/** A stand-in for auth, the one neighbour that these tests do not run: it vouches for whomever a test says. */
export interface AuthStub {
  readonly address: string
  /** An identity token, as auth's Check would add it to a call. */
  sign(userId: string, claims: Partial<IdentityClaims>): Promise<string>
  close(): Promise<void>
}

/** Serves auth's internal service on a free port: its identity keys are real, it knows no bearer and no key. */
export async function startAuthStub(): Promise<AuthStub> {
  // Long before any time that a test has it be.
  const { keys, sign } = createIdentitySigner({ now: () => new Date('2020-01-01') })
  const away = (_call: unknown, answer: sendUnaryData<unknown>) =>
    answer({ code: status.UNAVAILABLE, details: 'only identity keys are to be had' })
  const server = new Server()
  server.addService(AuthorizationServiceService, {
    listIdentityKeys: (_call: unknown, answer: sendUnaryData<unknown>) => answer(null, { keys }),
    authenticate: away,
    verifyKey: away,
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return {
    address: `127.0.0.1:${port}`,
    sign: (userId, claims) => sign(userId, claims, LIFE_SECONDS),
    close: async () => server.forceShutdown(),
  }
}
