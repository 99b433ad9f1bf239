import type { ServiceClient } from '@instatunnel/kit/client'
import { addressSubject } from '@instatunnel/kit/client-address'
import type { Evict } from '@instatunnel/kit/eviction'
import type { Logger } from '@instatunnel/kit/log'
import type { ISql, Sql } from '@instatunnel/kit/postgres'
import { Refusal } from '@instatunnel/kit/refusal'
import { scopesOfRole } from '@instatunnel/kit/scope'
import type { Call } from '@instatunnel/kit/unary'
import type { LoginResponse } from '@instatunnel/proto/auth/v1/auth_service'
import type { KeyDirectoryServiceService } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type { Account } from './domain/account.ts'
import { MAX_SESSIONS, newSession, type Session } from './domain/session.ts'
import { signSessionToken } from './domain/token.ts'
import type { SigningKeys } from './signing-keys.ts'
import { tellLoggedIn, tellRevoked } from './store/outbox.ts'
import { deleteExpiredSessions, endOldestSessions, endSession, insertSession } from './store/session-store.ts'

/** The client's address; empty where it is not known. */
export function clientAddressOf({ caller }: Call): string {
  if (caller.kind !== 'anyone') throw new Error('the address is known of those who call public rpcs')
  return caller.address
}

/** The client's network, which limits count; empty where it is not known. */
export const clientNetworkOf = (call: Call) => addressSubject(clientAddressOf(call))

/** What opening a session needs. */
export interface SessionOpening {
  readonly sql: Sql
  readonly keys: Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'createSessionKey'>
  readonly signingKeys: SigningKeys
  /** Has every replica forget what was known of a session or user; called after each change of one. */
  readonly evict: Evict
  readonly log: Logger
  readonly now: () => Date
}

/** A session that begins with this call. */
export const sessionFor = (user: Account, call: Call, now: Date): Session =>
  newSession(
    {
      userId: user.id,
      userAgent: String(call.metadata.get('user-agent')[0] ?? ''),
      address: clientAddressOf(call),
    },
    now,
  )

/**
 * Writes a session, ending the oldest past the 50 that a user may have, and tells the ids of those. The user's row must be
 * locked or new.
 */
export async function writeSession(tx: ISql, session: Session, now: Date): Promise<string[]> {
  await deleteExpiredSessions(tx, session.userId)
  await insertSession(tx, session)
  const ended = await endOldestSessions(tx, { userId: session.userId, keep: MAX_SESSIONS }, now)
  await tellRevoked(tx, ended, { userId: session.userId, reason: 'too_many' }, now)
  await tellLoggedIn(tx, session, now)
  return ended.map(({ id }) => id)
}

/** Gives a written session its key and token; where keys cannot make the key, the session is ended. */
export async function completeSession(
  { sql, keys, signingKeys, evict, log, now }: SessionOpening,
  user: Account,
  session: Session,
  refusal: string,
): Promise<LoginResponse> {
  const permissions = [...scopesOfRole(user.role)]
  try {
    // Not tied to the caller's signal: a caller that goes away must not leave a session half made.
    const { key } = await keys.createSessionKey({ sessionId: session.id, userId: user.id, permissions })
    const token = signSessionToken(session, signingKeys.signing('session'))
    return { user, token, expiresAt: session.expiresAt, apiKey: key }
  } catch (error) {
    log.warn({ session: session.id, cause: String(error) }, 'the session gets no key and is ended')
    await sql.begin(async (tx) => {
      const ended = await endSession(tx, session, now())
      if (ended) await tellRevoked(tx, [session], { userId: user.id, reason: 'key_failed' }, now())
    })
    await evict({ sessions: [session.id] })
    throw new Refusal('SESSION_KEY_UNAVAILABLE', refusal, { retryAfterSeconds: 1 })
  }
}
