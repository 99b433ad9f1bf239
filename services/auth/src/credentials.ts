import { status } from '@grpc/grpc-js'
import type { ServiceClient } from '@instatunnel/kit/client'
import type { GoawayReason } from '@instatunnel/kit/goaway'
import { isId } from '@instatunnel/kit/id'
import type { Sql } from '@instatunnel/kit/postgres'
import { scopesOfRole } from '@instatunnel/kit/scope'
import { digestOf } from '@instatunnel/kit/secret'
import type {
  KeyDirectoryServiceService,
  KeyRecord,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type {
  TokenRecord,
  TunnelDirectoryServiceService,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import type { Holder, Standing, TunnelHolder, UserHolder } from './domain/holder.ts'
import { judgeKey, type KeyCode } from './domain/key-verdict.ts'
import type { Presented } from './domain/presented.ts'
import { judgeSession } from './domain/session.ts'
import { createSessionTokens } from './session-tokens.ts'
import type { SigningKeys } from './signing-keys.ts'
import { findSession, findStanding } from './store/session-store.ts'

/** Finds out who holds a credential. */
export interface Credentials {
  /** Who holds what is presented; undefined where it is not, or no longer, valid. */
  holderOf(presented: Presented, signal?: AbortSignal): Promise<Holder | undefined>
  /** Who holds the key or session of this id; otherwise why nobody does any more. */
  holderById(type: UserHolder['credential']['type'], id: string, signal?: AbortSignal): Promise<HolderOrEnd>
  /** Who holds a tunnel's token of this generation; undefined where the tunnel's user is no more. */
  holderOfToken(token: TokenRecord): Promise<TunnelHolder | undefined>
  /** A key and its owner, by the SHA-256 of its secret; undefined where it, its owner or its session is no more. */
  findKey(digest: Buffer, signal?: AbortSignal): Promise<{ key: KeyRecord; owner: Standing } | undefined>
}

type HolderOrEnd = UserHolder | GoawayReason

/** What credentials are looked up with. */
export interface CredentialsOptions {
  readonly sql: Sql
  readonly keys: Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'lookUpKey' | 'getKeyRecord'>
  readonly tunnels: Pick<ServiceClient<typeof TunnelDirectoryServiceService>, 'lookUpToken' | 'lookUpTunnel'>
  readonly signingKeys: SigningKeys
  readonly now: () => Date
}

const KEY_ENDS = {
  NOT_FOUND: 'key_revoked',
  DISABLED: 'key_disabled',
  EXPIRED: 'key_expired',
  INSUFFICIENT_PERMISSIONS: 'scope_lost',
} as const satisfies Record<Exclude<KeyCode, 'VALID'>, GoawayReason>

/** Looks credentials up where they live: keys and tunnels in their services, sessions here. */
export function createCredentials(options: CredentialsOptions): Credentials {
  const { sql, keys, tunnels, now } = options
  const claimsOf = createSessionTokens(options)

  const findLiveSession = async (id: string) =>
    judgeSession(isId(id, 'ses_') ? await findSession(sql, id) : undefined, now())

  /** Whom a key belongs to: the session's user where it is a session's, which it ends with. */
  const ownerOf = async (key: KeyRecord): Promise<(Standing & { expiresAt?: Date }) | GoawayReason> => {
    if (key.sessionId !== undefined) return findLiveSession(key.sessionId)
    return (await findStanding(sql, key.userId)) ?? 'key_revoked'
  }

  const holderOfKey = async (key: KeyRecord): Promise<HolderOrEnd> => {
    const owner = await ownerOf(key)
    if (typeof owner === 'string') return owner
    const { code, scopes } = judgeKey(key, owner, [], now())
    if (code !== 'VALID') return KEY_ENDS[code]
    const expires = key.expiresAt ? { expiresAt: secondsOf(key.expiresAt) } : {}
    const session = key.sessionId === undefined ? {} : { sessionId: key.sessionId }
    const credential = { type: 'api_key' as const, id: key.id, masked: key.masked, ...session, ...expires }
    const endsAt = earlier(key.expiresAt, owner.expiresAt)
    return { kind: 'user', user: owner, scopes, credential, ...(endsAt && { endsAt }) }
  }

  const holderOfSession = async (id: string): Promise<HolderOrEnd> => {
    const session = await findLiveSession(id)
    if (typeof session === 'string') return session
    const { expiresAt: endsAt } = session
    const credential = { type: 'session' as const, id, sessionId: id, expiresAt: secondsOf(endsAt) }
    return { kind: 'user', user: session, scopes: new Set(scopesOfRole(session.role)), credential, endsAt }
  }

  const holderOfToken: Credentials['holderOfToken'] = async ({ tunnelId, userId, tokenGeneration }) => {
    const user = await findStanding(sql, userId)
    return user && { kind: 'tunnel', user, tunnelId, tokenGeneration }
  }

  const findHolder = async (
    presented: Presented,
    signal?: AbortSignal,
  ): Promise<Holder | GoawayReason | undefined> => {
    if (presented.kind === 'session') {
      const claims = await claimsOf(presented.token)
      return claims && holderOfSession(claims.sessionId)
    }
    const digest = digestOf(presented.secret)
    if (presented.kind === 'api_key') {
      const key = await keys.lookUpKey({ digest }, { signal }).catch(undefinedWhereNotFound)
      return key && holderOfKey(key)
    }
    const token = await tunnels.lookUpToken({ digest }, { signal }).catch(undefinedWhereNotFound)
    return token && holderOfToken(token)
  }

  return {
    holderOfToken,
    async holderOf(presented, signal) {
      const holder = await findHolder(presented, signal)
      return typeof holder === 'string' ? undefined : holder
    },
    async holderById(type, id, signal) {
      if (type === 'session') return holderOfSession(id)
      const key = await keys.getKeyRecord({ id }, { signal }).catch(undefinedWhereNotFound)
      return key ? holderOfKey(key) : 'key_revoked'
    },
    async findKey(digest, signal) {
      const key = await keys.lookUpKey({ digest }, { signal }).catch(undefinedWhereNotFound)
      const owner = key && (await ownerOf(key))
      return key && typeof owner === 'object' ? { key, owner } : undefined
    },
  }
}

/** Makes of a neighbour's NOT_FOUND an undefined, and passes all else on. */
export function undefinedWhereNotFound(error: { code?: unknown }): undefined {
  if (error.code === status.NOT_FOUND) return undefined
  throw error
}

const secondsOf = (time: Date) => Math.floor(time.getTime() / 1000)

const earlier = (one: Date | undefined, other: Date | undefined): Date | undefined =>
  one && other ? new Date(Math.min(one.getTime(), other.getTime())) : (one ?? other)
