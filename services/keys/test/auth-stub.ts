import { generateKeyPairSync } from 'node:crypto'
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import { IDENTITY_TOKEN, type IdentityClaims } from '@instatunnel/kit/identity'
import {
  AuthorizationServiceService,
  type VerifyKeyRequest,
  type VerifyKeyResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { SignJWT } from 'jose'

const KID = 'test'

/** A stand-in for auth, the one neighbour that tests do not run: it vouches for whomever a test says. */
export interface AuthStub {
  readonly address: string
  /** An identity token, as auth's Check would add it to a call. */
  sign(userId: string, claims: IdentityClaims): Promise<string>
  /** What VerifyKey was asked. */
  readonly asked: VerifyKeyRequest[]
  /** What VerifyKey answers; undefined where auth is away. */
  code: string | undefined
  close(): Promise<void>
}

/** Serves auth's internal service on a free port: its identity keys are real, it knows no bearer. */
export async function startAuthStub(): Promise<AuthStub> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const key = { kid: KID, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() }
  const away = { code: status.UNAVAILABLE, details: 'the stub is away' }
  const server = new Server()
  server.addService(AuthorizationServiceService, {
    listIdentityKeys: (_call: unknown, answer: sendUnaryData<unknown>) => answer(null, { keys: [key] }),
    authenticate: (_call: unknown, answer: sendUnaryData<unknown>) => answer(away),
    verifyKey: (
      { request }: ServerUnaryCall<VerifyKeyRequest, VerifyKeyResponse>,
      answer: sendUnaryData<VerifyKeyResponse>,
    ) => {
      stub.asked.push(request)
      return stub.code === undefined ? answer(away) : answer(null, { code: stub.code })
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
    sign: (userId, claims) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'EdDSA', typ: IDENTITY_TOKEN.typ, kid: KID })
        .setIssuer(IDENTITY_TOKEN.issuer)
        .setAudience(IDENTITY_TOKEN.audience)
        .setSubject(userId)
        .setIssuedAt()
        .setExpirationTime(new Date('2100-01-01')) // whatever a test makes of the clock
        .sign(privateKey),
    close: async () => server.forceShutdown(),
  }
  return stub
}
