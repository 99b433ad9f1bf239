import { createHash, randomBytes } from 'node:crypto'
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { SERVICE_METADATA } from '@instatunnel/kit/guard'
import { newId } from '@instatunnel/kit/id'
import { expandScopes } from '@instatunnel/kit/scope'
import { digestOf, masked, randomAlphanumeric } from '@instatunnel/kit/secret'
import {
  type CreateSessionKeyRequest,
  type GetKeyRecordRequest,
  KeyDirectoryServiceService,
  KeyRecord,
  type LookUpKeysRequest,
  type LookUpKeysResponse,
  type RevokeKeyRequest,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import {
  type GetUsageRequest,
  type GetUsageResponse,
  type LookUpTokenRequest,
  type LookUpTunnelRequest,
  type TokenRecord,
  TunnelDirectoryServiceService,
  type TunnelRecord,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { createMeters, type Meters } from './meters.ts'

/** A key that the stub of keys knows; a test may change it under auth. */
export type KnownKey = { -readonly [Field in keyof KeyRecord]: KeyRecord[Field] }

/** A tunnel that the stub of tunnels knows; a test may change it under auth. */
export type KnownTunnel = { -readonly [Field in keyof TunnelRecord]: TunnelRecord[Field] }

/** Stand-ins for keys and tunnels, the two neighbours that auth's tests do not run. */
export interface Neighbours {
  /** Where each listens; also where it will again after it was away. */
  readonly keysAddress: string
  readonly tunnelsAddress: string
  /** Makes a key as keys would have, and gives its secret. */
  addKey(key: Partial<KeyRecord> & { userId: string }): { secret: string; key: KnownKey }
  /** Forgets a key, as LookUpKeys does one that is revoked. */
  revokeKey(id: string): void
  /** Knows a key again that it forgot. */
  restoreKey(secret: string, key: KnownKey): void
  /** How keys that count their uses do so. */
  readonly meters: Omit<Meters, 'lease' | 'settle'>
  /** Makes a user's tunnel: the oldest one, unless said otherwise. */
  addTunnel(of: Partial<TunnelRecord> & { userId: string }): KnownTunnel
  /** Deletes a tunnel. */
  deleteTunnel(tunnel: KnownTunnel): void
  /** Makes a tunnel's token: its first, unless said otherwise. */
  addTunnelToken(of: { tunnelId: string; userId: string; tokenGeneration?: number }): string
  /** What GetUsage answers for a user; zeros for others. */
  readonly usage: Map<string, GetUsageResponse>
  /** What auth asked keys for. */
  readonly sessionKeys: CreateSessionKeyRequest[]
  readonly revoked: RevokeKeyRequest[]
  /** How many keys, and tunnels by their ids, they were asked to look up. */
  readonly lookUps: () => number
  /** In how many requests that was about keys by their secrets. */
  readonly batches: () => number
  /** The metadata of auth's last call to either of them. */
  readonly lastMetadata: () => Metadata | undefined
  /** The secrets that they have made. */
  readonly secrets: readonly string[]
  /** Which of them is away: answers UNAVAILABLE. */
  readonly away: { keys: boolean; tunnels: boolean }
  /** Until when both keep their answers to themselves, where they do. */
  held: Promise<void> | undefined
  /** What CreateSessionKey fails with, where it is to fail otherwise than by being away. */
  failSessionKeys: { code: number; details: string } | undefined
  close(): void
}

/** Serves both on one free port, by this clock. */
export async function startNeighbours(now: () => Date): Promise<Neighbours> {
  const meters = createMeters(() => now().getTime())
  const keys = new Map<string, KnownKey>()
  const tunnels = new Map<string, KnownTunnel>()
  const tokens = new Map<string, TokenRecord>()
  const secrets: string[] = []
  let metadata: Metadata | undefined
  let lookUps = 0
  let batches = 0
  const hex = (digest: Uint8Array) => Buffer.from(digest).toString('hex')
  const notFound = { code: status.NOT_FOUND, details: 'There is no such thing' }

  /** Answers unless its service is away. */
  const rpc =
    <Request, Response>(
      service: 'keys' | 'tunnels',
      answerTo: (request: Request) => Response | { code: number; details: string },
    ) =>
    (call: ServerUnaryCall<Request, Response>, answer: sendUnaryData<Response>) => {
      metadata = call.metadata
      if (neighbours.away[service]) return answer({ code: status.UNAVAILABLE, details: `${service} is away` })
      const answered = answerTo(call.request)
      const reply = () => (isFailure(answered) ? answer(answered) : answer(null, answered))
      return neighbours.held ? void neighbours.held.then(reply) : reply()
    }

  const unimplemented = (_call: unknown, answer: sendUnaryData<never>) =>
    answer({ code: status.UNIMPLEMENTED, details: 'auth does not ask this' })

  const server = new Server()
  server.addService(KeyDirectoryServiceService, {
    lookUpKeys: rpc<LookUpKeysRequest, LookUpKeysResponse>('keys', ({ digests, revisions }) => {
      lookUps += digests.length
      batches++
      const answer: LookUpKeysResponse = { found: [], unchanged: [] }
      for (const [index, digest] of digests.entries()) {
        const key = keys.get(hex(digest))
        if (!key) continue
        const revision = createHash('sha256').update(KeyRecord.encode(key).finish()).digest()
        if (revisions[index]?.equals(revision)) answer.unchanged.push(index)
        else answer.found.push({ index, key, revision })
      }
      return answer
    }),
    leaseUses: rpc('keys', meters.lease),
    settleUses: rpc('keys', meters.settle),
    getKeyRecord: rpc<GetKeyRecordRequest, KeyRecord>('keys', ({ id }) => {
      lookUps++
      return [...keys.values()].find((key) => key.id === id) ?? notFound
    }),
    createSessionKey: rpc<CreateSessionKeyRequest, { keyId: string; key: string }>('keys', (request) => {
      neighbours.sessionKeys.push(request)
      if (neighbours.failSessionKeys) return neighbours.failSessionKeys
      const { secret, key } = neighbours.addKey(request)
      return { keyId: key.id, key: secret }
    }),
    revokeKey: rpc<RevokeKeyRequest, object>('keys', (request) => {
      neighbours.revoked.push(request)
      neighbours.revokeKey(request.keyId)
      return {}
    }),
  })
  server.addService(TunnelDirectoryServiceService, {
    lookUpToken: rpc<LookUpTokenRequest, TokenRecord>(
      'tunnels',
      ({ digest }) => tokens.get(hex(digest)) ?? notFound,
    ),
    lookUpTunnel: rpc<LookUpTunnelRequest, TunnelRecord>('tunnels', ({ tunnelId }) => {
      lookUps++
      return tunnels.get(tunnelId) ?? notFound
    }),
    lookUpSubdomains: unimplemented,
    cutConnections: unimplemented,
    getUsage: rpc<GetUsageRequest, GetUsageResponse>(
      'tunnels',
      ({ userId }) => neighbours.usage.get(userId) ?? NOTHING,
    ),
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })

  const neighbours: Neighbours = {
    keysAddress: `127.0.0.1:${port}`,
    tunnelsAddress: `127.0.0.1:${port}`,
    meters,
    addKey(fields) {
      const secret = `it_${randomAlphanumeric(16, randomBytes)}`
      const key = {
        id: newId('key_', new Date()),
        sessionId: undefined,
        masked: masked('it_', secret),
        enabled: true,
        expiresAt: undefined,
        rateLimitEnabled: true,
        isMetered: false,
        allowedIps: [],
        allowedSubdomains: [],
        deprecatedAt: undefined,
        sunsetAt: undefined,
        rateLimitMax: undefined,
        rateLimitTimeWindow: undefined,
        secretGeneration: 0,
        oldSecretEndsAt: undefined,
        ...fields,
        permissions: expandScopes(fields.permissions ?? ['*']),
      }
      keys.set(hex(digestOf(secret)), key)
      secrets.push(secret)
      return { secret, key }
    },
    revokeKey(id) {
      for (const [digest, key] of keys) if (key.id === id) keys.delete(digest)
    },
    restoreKey: (secret, key) => void keys.set(hex(digestOf(secret)), key),
    addTunnel(fields) {
      const tunnelId = newId('tun_', new Date())
      const tunnel = { tunnelId, subdomain: 'docs-demo', tokenGeneration: 0, olderTunnels: 0, ...fields }
      tunnels.set(tunnel.tunnelId, tunnel)
      return tunnel
    },
    deleteTunnel: ({ tunnelId }) => tunnels.delete(tunnelId),
    addTunnelToken(of) {
      const token = `itt_${randomAlphanumeric(32, randomBytes)}`
      tokens.set(hex(digestOf(token)), { tokenGeneration: 0, ...of })
      secrets.push(token)
      return token
    },
    usage: new Map(),
    sessionKeys: [],
    revoked: [],
    lookUps: () => lookUps,
    batches: () => batches,
    lastMetadata: () => metadata,
    secrets,
    away: { keys: false, tunnels: false },
    held: undefined,
    failSessionKeys: undefined,
    close: () => server.forceShutdown(),
  }
  return neighbours
}

/** The token with which auth called. */
export const serviceTokenOf = (metadata: Metadata | undefined) => String(metadata?.get(SERVICE_METADATA)[0])

const NOTHING = { tunnelsCount: 0, tunnelsCreated: 0, dataTransferredBytes: 0, requestsServed: 0 }

const isFailure = (answered: unknown): answered is { code: number; details: string } =>
  typeof (answered as { code?: unknown }).code === 'number'
