import { status } from '@grpc/grpc-js'
import type { ServiceClient } from '@instatunnel/kit/client'
import type { GoawayReason } from '@instatunnel/kit/goaway'
import { isId } from '@instatunnel/kit/id'
import type { Sql } from '@instatunnel/kit/postgres'
import { digestOf } from '@instatunnel/kit/secret'
import type {
  KeyDirectoryServiceService,
  KeyRecord,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type {
  TokenRecord,
  TunnelDirectoryServiceService,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import type { Holder, TunnelHolder, UserHolder } from './domain/holder.ts'
import { endOf, isAdmittedFrom, isSuspended } from './domain/key-verdict.ts'
import { type KeyOwner, type KnownKey, keyBySecret, knownKeyOf } from './domain/known-key.ts'
import type { Presented } from './domain/presented.ts'
import { judgeSession } from './domain/session.ts'
import { after, type Eventual } from './eventual.ts'
import type { LookUpWay } from './known.ts'
import { keyIdOfSecret } from './known-keys.ts'
import { sessionHolder } from './known-sessions.ts'
import type { Memory } from './memory.ts'
import { createSessionTokens } from './session-tokens.ts'
import type { SigningKeys } from './signing-keys.ts'
import { findSession, findStanding } from './store/session-store.ts'

/** Finds out who holds a credential. */
export interface Credentials {
  /** Who holds what is presented, at once where that is known; undefined where it is not, or no longer, valid. */
  holderOf(presented: Presented, way: LookUpWay, signal?: AbortSignal): Eventual<Holder | undefined>
  /** Who holds the session of this id, looked up afresh; otherwise why nobody does any more. */
  holderOfSession(id: string): Promise<HolderOrEnd>
  /** Who holds the key of this id by such a secret and from there, looked up afresh; otherwise why nobody does. */
  holderOfKey(id: string, by: HeldBy, signal?: AbortSignal): Promise<HolderOrEnd>
  /** Who holds a tunnel's token of this generation; otherwise why nobody does. */
  holderOfToken(token: TokenRecord): Promise<TunnelHolder | GoawayReason>
  /** A key by what keys are known by, at once where it is; undefined where it, its owner or its session is no more. */
  findKey(knownBy: string, way?: LookUpWay): Eventual<KnownKey | undefined>
  /** A key by its id, looked up afresh; otherwise what ended it. */
  findKeyById(id: string, signal?: AbortSignal): Promise<KnownKey | GoawayReason>
}

type HolderOrEnd = UserHolder | GoawayReason

/** By which of its secrets a key is held, and from where; the address is undefined where none is known. */
export interface HeldBy {
  readonly secretGeneration: number
  readonly address?: string | undefined
}

/** What credentials are looked up with. */
export interface CredentialsOptions {
  readonly sql: Sql
  readonly keys: Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'getKeyRecord'>
  readonly tunnels: Pick<ServiceClient<typeof TunnelDirectoryServiceService>, 'lookUpToken' | 'lookUpTunnel'>
  readonly memory: Pick<Memory, 'keys' | 'sessions'>
  readonly signingKeys: SigningKeys
  readonly now: () => Date
}

const KEY_ENDS = {
  // By its id a key is found as long as it is there, and its secret works: only its session can be over.
  NOT_FOUND: 'session_expired',
  DISABLED: 'key_disabled',
  EXPIRED: 'key_expired',
} as const satisfies Record<NonNullable<ReturnType<typeof endOf>>, GoawayReason>

/**
 * Keys and sessions that calls come with are known by what this replica remembers of them; what live connections are
 * judged by, and tunnels' tokens, is looked up where it lives.
 */
export function createCredentials(options: CredentialsOptions): Credentials {
  const { sql, keys, tunnels, memory, now } = options
  const claimsOf = createSessionTokens(options)

  const findLiveSession = async (id: string) =>
    judgeSession(isId(id, 'ses_') ? await findSession(sql, id) : undefined, now())

  /** Whom a key belongs to: the session's user where it is a session's, which it ends with. */
  const ownerOf = async (key: KeyRecord): Promise<KeyOwner | GoawayReason> => {
    if (key.sessionId !== undefined) return findLiveSession(key.sessionId)
    return (await findStanding(sql, key.userId)) ?? 'key_revoked'
  }

  const findKey: Credentials['findKey'] = (knownBy, way) => memory.keys.find(knownBy, way)

  const findKeyById: Credentials['findKeyById'] = async (id, signal) => {
    const record = await keys.getKeyRecord({ id }, { signal }).catch(undefinedWhereNotFound)
    if (!record) return 'key_revoked'
    const owner = await ownerOf(record)
    return typeof owner === 'string' ? owner : knownKeyOf(record, owner)
  }

  const holderOfSessionToken = (token: string, way: LookUpWay): Eventual<Holder | undefined> =>
    after(claimsOf(token), (claims) => {
      if (!claims) return undefined
      return after(memory.sessions.find(claims.sessionId, way), (session) =>
        session && session.holder.endsAt > now() ? session.holder : undefined,
      )
    })

  /** Who holds the first session that is good, of the tokens from there on. */
  const holderOfFirst = (
    tokens: readonly string[],
    way: LookUpWay,
    from = 0,
  ): Eventual<Holder | undefined> => {
    const token = tokens[from]
    if (token === undefined) return undefined
    return after(
      holderOfSessionToken(token, way),
      (holder): Eventual<Holder | undefined> => holder ?? holderOfFirst(tokens, way, from + 1),
    )
  }

  const holderOfToken: Credentials['holderOfToken'] = async ({ tunnelId, userId, tokenGeneration }) => {
    const user = await findStanding(sql, userId)
    if (!user) return 'tunnel_deleted'
    return user.status === 'active'
      ? { kind: 'tunnel', user, tunnelId, tokenGeneration }
      : 'account_suspended'
  }

  const findTokenHolder = async (digest: Buffer, signal?: AbortSignal) => {
    const token = await tunnels.lookUpToken({ digest }, { signal }).catch(undefinedWhereNotFound)
    const holder = token && (await holderOfToken(token))
    return typeof holder === 'object' ? holder : undefined
  }

  return {
    holderOfToken,
    holderOf(presented, way, signal) {
      if (presented.kind === 'session') return holderOfFirst(presented.tokens, way)
      if (presented.kind === 'tunnel_token')
        return way(() => findTokenHolder(digestOf(presented.secret), signal))
      return after(findKey(keyIdOfSecret(presented.secret), way), (key) =>
        key && endOf(key, now()) === undefined ? key.holder : undefined,
      )
    },
    async holderOfSession(id) {
      const session = await findLiveSession(id)
      return typeof session === 'string' ? session : sessionHolder(id, session)
    },
    async holderOfKey(id, { secretGeneration, address }, signal) {
      const current = await findKeyById(id, signal)
      if (typeof current === 'string') return current
      const at = now()
      const key = keyBySecret(current, secretGeneration, at)
      if (!key) return 'key_rotated'
      const end = endOf(key, at)
      if (end !== undefined) return isSuspended(key) ? 'account_suspended' : KEY_ENDS[end]
      return isAdmittedFrom(key, address) ? key.holder : 'address_not_allowed'
    },
    findKey,
    findKeyById,
  }
}

/** Makes of a neighbour's NOT_FOUND an undefined, and passes all else on. */
export function undefinedWhereNotFound(error: { code?: unknown }): undefined {
  if (error.code === status.NOT_FOUND) return undefined
  throw error
}
