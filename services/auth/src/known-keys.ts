import { hash } from 'node:crypto'
import type { ServiceClient } from '@instatunnel/kit/client'
import type { Sql } from '@instatunnel/kit/postgres'
import type {
  KeyDirectoryServiceService,
  KeyRecord,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { type KeyOwner, type KnownKey, knownKeyOf } from './domain/known-key.ts'
import { isOpen } from './domain/session.ts'
import { sharedPermissions, sharedStanding } from './domain/sharing.ts'
import { createKnown, type Known, type KnownOptions } from './known.ts'
import { findSessions, findStandings } from './store/session-store.ts'

const MAX_KEYS = 120_000
// A hundred thousand keys are remembered: what most of them have in common is there once.
const NONE: string[] = []
const NO_REVISION = Buffer.alloc(0)

/** What is known of keys stands on. */
export interface KnownKeysOptions extends Pick<KnownOptions<KnownKey>, 'isHeard' | 'now'> {
  readonly sql: Sql
  readonly keys: Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'lookUpKeys'>
}

/** What keys are known by: the SHA-256 of the secret, a character a byte. */
export const keyIdOf = (digest: Buffer): string => digest.toString('latin1')

/** The same, of the secret: in one step, which costs a quarter of two. */
export const keyIdOfSecret = (secret: string): string => hash('sha256', secret, 'binary')

/** A key with what tells it from any other that it may have been: as keys says. */
interface RevisedKey extends KnownKey {
  readonly revision: string
}

/**
 * Remembers keys by `keyIdOf`. One that is revoked is unknown, as is one whose session or user is no more. One that is
 * looked up anew is told only where it is otherwise; its owner, or its session, is looked at each time.
 */
export const createKnownKeys = ({ sql, keys, isHeard, now }: KnownKeysOptions): Known<KnownKey> =>
  createKnown<RevisedKey>({
    async lookUp(asked) {
      const { found, unchanged } = await keys.lookUpKeys({
        digests: asked.map(({ id }) => Buffer.from(id, 'latin1')),
        revisions: asked.map(({ known }) => (known ? Buffer.from(known.revision, 'latin1') : NO_REVISION)),
      })
      const records = found.flatMap(({ index, key, revision }): Found[] =>
        key ? [{ index, record: key, revision: revision.toString('latin1') }] : [],
      )
      const same = unchanged.flatMap((index): Found[] => {
        const known = asked[index]?.known
        return known ? [{ index, record: known.record, revision: known.revision, known }] : []
      })
      const all = [...records, ...same]
      const ownerOf = await findOwners(
        sql,
        all.map(({ record }) => record),
      )
      return new Map(
        all.flatMap(({ index, record, revision, known }): [string, RevisedKey][] => {
          const owner = ownerOf(record)
          if (!owner) return []
          const isSame = known && isSameOwner(known.owner, owner)
          const key = isSame ? known : { ...knownKeyOf(sharing(record, owner), owner), revision }
          return [[asked[index]?.id ?? '', key]]
        }),
      )
    },
    tagsOf: ({ record: { id, sessionId }, owner: { userId } }) =>
      sessionId === undefined ? [id, userId] : [id, userId, sessionId],
    max: MAX_KEYS,
    isHeard,
    now,
  })

interface Found {
  readonly index: number
  readonly record: KeyRecord
  readonly revision: string
  /** What was known of it, where its record is the same. */
  readonly known?: RevisedKey
}

const isSameOwner = (one: KeyOwner, other: KeyOwner) =>
  one.userId === other.userId &&
  one.plan === other.plan &&
  one.role === other.role &&
  one.status === other.status &&
  one.expiresAt?.getTime() === other.expiresAt?.getTime()

const sharing = (key: KeyRecord, { userId }: KeyOwner): KeyRecord => ({
  ...key,
  userId: key.userId === userId ? userId : key.userId,
  permissions: sharedPermissions(key.permissions),
  allowedIps: key.allowedIps.length === 0 ? NONE : key.allowedIps,
  allowedSubdomains: key.allowedSubdomains.length === 0 ? NONE : key.allowedSubdomains,
})

/** Whose each of these keys is: the session's user where it is a session's, which it ends with. */
async function findOwners(
  sql: Sql,
  keys: readonly KeyRecord[],
): Promise<(key: KeyRecord) => KeyOwner | undefined> {
  const sessionIds = keys.flatMap(({ sessionId }) => sessionId ?? [])
  const userIds = new Set(keys.flatMap(({ sessionId, userId }) => (sessionId === undefined ? userId : [])))
  const [sessions, standings] = await Promise.all([
    sessionIds.length > 0 ? findSessions(sql, sessionIds) : [],
    userIds.size > 0 ? findStandings(sql, [...userIds]) : [],
  ])
  const bySession = new Map(sessions.map((session) => [session.id, session]))
  const byUser = new Map(standings.map((standing) => [standing.userId, sharedStanding(standing)]))
  return ({ sessionId, userId }) => {
    if (sessionId === undefined) return byUser.get(userId)
    const session = bySession.get(sessionId)
    // Whether its time is over is asked at each use: by a clock that was wrong the key would be unknown for a while.
    return session && isOpen(session)
      ? { ...sharedStanding(session), expiresAt: session.expiresAt }
      : undefined
  }
}
