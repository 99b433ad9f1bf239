import { hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { ServiceClient } from '@instatunnel/kit/client'
import type { Sql } from '@instatunnel/kit/postgres'
import type {
  KeyDirectoryServiceService,
  KeyRecord,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { type KeyOwner, type KnownKey, knownKeyOf } from './domain/known-key.ts'
import { judgeSession } from './domain/session.ts'
import { sharedPermissions, sharedStanding } from './domain/sharing.ts'
import { createKnown, type Known, type KnownOptions } from './known.ts'
import { findSessions, findStandings } from './store/session-store.ts'

const MAX_KEYS = 120_000
// A hundred thousand keys are remembered: what most of them have in common is there once.
const NONE: string[] = []

/** What is known of keys stands on. */
export interface KnownKeysOptions extends Pick<KnownOptions<KnownKey>, 'isHeard' | 'now'> {
  readonly sql: Sql
  readonly keys: Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'lookUpKeys'>
}

/** What keys are known by: the SHA-256 of the secret, as text. */
export const keyIdOf = (digest: Buffer): string => digest.toString('base64')

/** The same, of the secret: in one step, which costs a quarter of two. */
export const keyIdOfSecret = (secret: string): string => hash('sha256', secret, 'base64')

/** Remembers keys by `keyIdOf`. One that is revoked is unknown, as is one whose session or user is no more. */
export const createKnownKeys = ({ sql, keys, isHeard, now }: KnownKeysOptions): Known<KnownKey> =>
  createKnown<KnownKey>({
    async lookUp(ids) {
      const { found } = await keys.lookUpKeys({ digests: ids.map((id) => Buffer.from(id, 'base64')) })
      const records = found.flatMap(({ index, key }) => (key ? [{ id: ids[index] ?? '', key }] : []))
      const ownerOf = await findOwners(
        sql,
        records.map(({ key }) => key),
        now(),
      )
      return new Map(
        records.flatMap(({ id, key }): [string, KnownKey][] => {
          const owner = ownerOf(key)
          return owner ? [[id, knownKeyOf(sharing(key), owner)]] : []
        }),
      )
    },
    tagsOf: ({ record: { id, sessionId }, owner: { userId } }) =>
      sessionId === undefined ? [id, userId] : [id, userId, sessionId],
    isSame: (one, other) =>
      isDeepStrictEqual(one.record, other.record) && isDeepStrictEqual(one.owner, other.owner),
    max: MAX_KEYS,
    isHeard,
    now,
  })

const sharing = (key: KeyRecord): KeyRecord => ({
  ...key,
  permissions: sharedPermissions(key.permissions),
  allowedIps: key.allowedIps.length === 0 ? NONE : key.allowedIps,
  allowedSubdomains: key.allowedSubdomains.length === 0 ? NONE : key.allowedSubdomains,
})

/** Whose each of these keys is: the session's user where it is a session's, which it ends with. */
async function findOwners(
  sql: Sql,
  keys: readonly KeyRecord[],
  now: Date,
): Promise<(key: KeyRecord) => KeyOwner | undefined> {
  const sessionIds = keys.flatMap(({ sessionId }) => sessionId ?? [])
  const userIds = new Set(keys.flatMap(({ sessionId, userId }) => (sessionId === undefined ? userId : [])))
  const [sessions, standings] = await Promise.all([
    sessionIds.length > 0 ? findSessions(sql, sessionIds) : [],
    userIds.size > 0 ? findStandings(sql, [...userIds]) : [],
  ])
  const bySession = new Map(sessions.map((session) => [session.id, session]))
  const byUser = new Map(standings.map((standing) => [standing.userId, standing]))
  return ({ sessionId, userId }) => {
    if (sessionId === undefined) {
      const standing = byUser.get(userId)
      return standing && sharedStanding(userId, standing)
    }
    const session = judgeSession(bySession.get(sessionId), now)
    return typeof session === 'string'
      ? undefined
      : { ...sharedStanding(session.userId, session), expiresAt: session.expiresAt }
  }
}
