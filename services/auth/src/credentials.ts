import { status } from '@grpc/grpc-js'
import type { ServiceClient } from '@instatunnel/kit/client'
import type { PresentedCredential } from '@instatunnel/kit/identity'
import type { Sql } from '@instatunnel/kit/postgres'
import { scopesOfRole } from '@instatunnel/kit/scope'
import { digestOf } from '@instatunnel/kit/secret'
import type {
  KeyDirectoryServiceService,
  KeyRecord,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { LRUCache } from 'lru-cache'
import { judgeKey } from './domain/key-verdict.ts'
import type { Presented } from './domain/presented.ts'
import { kidOf, type SessionClaims, verifySessionToken } from './domain/token.ts'
import type { SigningKeys } from './signing-keys.ts'
import { findSessionUser, findStanding, type Standing } from './store/session-store.ts'

/** Whoever holds a valid credential, and what it may do now. */
export interface Holder {
  readonly user: Standing
  readonly credential: PresentedCredential
  readonly scopes: ReadonlySet<string>
}

/** Finds out who holds what is presented. */
export interface Credentials {
  /** Who holds a credential, "tunnel" for a tunnel's own token; undefined where it is not, or no longer, valid. */
  holderOf(presented: Presented, signal?: AbortSignal): Promise<Holder | 'tunnel' | undefined>
  /** A key and its owner, by the SHA-256 of its secret; undefined where it, its owner or its session is no more. */
  findKey(digest: Buffer, signal?: AbortSignal): Promise<{ key: KeyRecord; owner: Standing } | undefined>
}

/** What credentials are looked up with. */
export interface CredentialsOptions {
  readonly sql: Sql
  readonly keys: Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'lookUpKey'>
  readonly tunnels: Pick<ServiceClient<typeof TunnelDirectoryServiceService>, 'lookUpToken'>
  readonly signingKeys: SigningKeys
  readonly now: () => Date
}

const REMEMBERED_TOKENS = 10_000

/** Looks credentials up where they live: keys and tunnels in their services, sessions here. */
export function createCredentials({ sql, keys, tunnels, signingKeys, now }: CredentialsOptions): Credentials {
  // A signature does not change: each session token is verified once. Whether its session lives is asked every time.
  const verified = new LRUCache<string, SessionClaims>({ max: REMEMBERED_TOKENS })

  const findKey: Credentials['findKey'] = async (digest, signal) => {
    const key = await keys.lookUpKey({ digest }, { signal }).catch(undefinedWhereNotFound)
    if (!key) return undefined
    const owner = await (key.sessionId === undefined
      ? findStanding(sql, key.userId)
      : findSessionUser(sql, key.sessionId, now()))
    return owner && { key, owner }
  }

  const holderOfKey = async (secret: string, signal?: AbortSignal): Promise<Holder | undefined> => {
    const found = await findKey(digestOf(secret), signal)
    if (!found) return undefined
    const { key, owner: user } = found
    const { code, scopes } = judgeKey(key, user, [], now())
    if (code !== 'VALID') return undefined
    const expires = key.expiresAt ? { expiresAt: Math.floor(key.expiresAt.getTime() / 1000) } : {}
    const session = key.sessionId === undefined ? {} : { sessionId: key.sessionId }
    const credential = { type: 'api_key' as const, id: key.id, masked: key.masked, ...session, ...expires }
    return { user, scopes, credential }
  }

  const claimsOf = async (token: string): Promise<SessionClaims | undefined> => {
    const known = verified.get(token)
    if (known) return known.expiresAt * 1000 > now().getTime() ? known : undefined
    const key = await signingKeys.verifying('session', kidOf(token) ?? '')
    const claims = key && (await verifySessionToken(token, key, now()))
    if (claims) verified.set(token, claims)
    return claims
  }

  const holderOfSession = async (token: string): Promise<Holder | undefined> => {
    const claims = await claimsOf(token)
    const user = claims && (await findSessionUser(sql, claims.sessionId, now()))
    if (!claims || !user) return undefined
    const { sessionId, expiresAt } = claims
    const credential = { type: 'session' as const, id: sessionId, sessionId, expiresAt }
    return { user, scopes: new Set(scopesOfRole(user.role)), credential }
  }

  return {
    findKey,
    async holderOf(presented, signal) {
      if (presented.kind === 'api_key') return holderOfKey(presented.secret, signal)
      if (presented.kind === 'session') return holderOfSession(presented.token)
      const digest = digestOf(presented.secret)
      const token = await tunnels.lookUpToken({ digest }, { signal }).catch(undefinedWhereNotFound)
      return token && 'tunnel'
    },
  }
}

function undefinedWhereNotFound(error: { code?: unknown }): undefined {
  if (error.code === status.NOT_FOUND) return undefined
  throw error
}
