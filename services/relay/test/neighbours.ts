import { Server, ServerCredentials, type sendUnaryData, status } from '@grpc/grpc-js'
import type { ConnectClaims } from '@instatunnel/kit/connect'
import type { CheckConnectionRequest } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { createConnectSigner } from '@instatunnel/test/identity'

/** Stand-ins for auth and tunnels, the two neighbours that the relay asks. */
export interface Neighbours {
  /** Where both listen. */
  readonly address: string
  /** A connect token, as auth makes them. */
  sign(userId: string, claims: Partial<ConnectClaims>): Promise<string>
  /** Subdomains of tunnels that exist. */
  readonly subdomains: Set<string>
  /** Subdomains that tunnels was asked about, and connections that auth was. */
  readonly lookedUp: string[]
  readonly checked: CheckConnectionRequest[]
  /** The database's time, as auth tells it. */
  time: () => Date
  /** What auth says of a connection; "" lets live on. */
  verdict: (asked: CheckConnectionRequest) => string
  /** Which of them is away: answers UNAVAILABLE. */
  readonly away: { auth: boolean; tunnels: boolean }
  close(): void
}

interface Call<Request> {
  readonly request: Request
}

/** Serves both on one free port; auth's keys are real, and everything may live on unless a test says otherwise. */
export async function startNeighbours({ now = () => new Date() } = {}): Promise<Neighbours> {
  const { keys, sign } = createConnectSigner({ now })
  const neighbours: Omit<Neighbours, 'address' | 'close'> = {
    sign,
    subdomains: new Set(),
    lookedUp: [],
    checked: [],
    time: () => new Date(),
    verdict: () => '',
    away: { auth: false, tunnels: false },
  }
  const rpc =
    <Request, Response>(service: 'auth' | 'tunnels', answer: (request: Request) => Response) =>
    ({ request }: Call<Request>, done: sendUnaryData<Response>) => {
      if (neighbours.away[service]) return done({ code: status.UNAVAILABLE, details: 'away' })
      try {
        done(null, answer(request))
      } catch {
        done({ code: status.NOT_FOUND, details: 'There is no such thing' })
      }
    }
  const unasked = rpc('auth', () => {
    throw new Error('the relay asks for no such thing')
  })
  const server = new Server()
  server.addService(AuthorizationServiceService, {
    listIdentityKeys: rpc('auth', () => ({ keys })),
    getTime: rpc('auth', () => ({ time: neighbours.time() })),
    checkConnection: rpc('auth', (asked: CheckConnectionRequest) => {
      neighbours.checked.push(asked)
      return { reason: neighbours.verdict(asked) }
    }),
    authenticate: unasked,
    verifyKey: unasked,
  })
  server.addService(TunnelDirectoryServiceService, {
    lookUpSubdomains: rpc('tunnels', ({ subdomains }: { subdomains: readonly string[] }) => {
      neighbours.lookedUp.push(...subdomains)
      return { found: subdomains.filter((subdomain) => neighbours.subdomains.has(subdomain)) }
    }),
    lookUpToken: unasked,
    lookUpTunnel: unasked,
    cutConnections: unasked,
    getUsage: unasked,
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return Object.assign(neighbours, { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() })
}
