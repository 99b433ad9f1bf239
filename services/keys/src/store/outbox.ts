import { appendEvent } from '@instatunnel/kit/event'
import { newId } from '@instatunnel/kit/id'
import type { ISql } from '@instatunnel/kit/postgres'
import {
  KeyCreated,
  KeyExhausted,
  KeyRevoked,
  KeyRotated,
  KeyUpdated,
} from '@instatunnel/proto/events/v1/events'
import type { Key } from '../domain/key.ts'

/** Tells that a key was made. */
export const tellCreated = (tx: ISql, key: Key, now: Date) =>
  tell(tx, 'created', key, now, KeyCreated.toJSON(KeyCreated.fromPartial(createdOf(key))))

/** Tells which of a key's fields changed, by their names on the wire. */
export const tellUpdated = (tx: ISql, key: Key, changed: string[], now: Date) =>
  tell(tx, 'updated', key, now, KeyUpdated.toJSON({ keyId: key.id, userId: key.userId, changed }))

/** Tells that a key works no longer. */
export const tellRevoked = (tx: ISql, key: Pick<Key, 'id' | 'userId'>, reason: string, now: Date) =>
  tell(tx, 'revoked', key, now, KeyRevoked.toJSON({ keyId: key.id, userId: key.userId, reason }))

/** Tells that a key has another secret, and until when the one before works. */
export const tellRotated = (tx: ISql, key: Key, graceEndsAt: Date | null, now: Date) =>
  tell(
    tx,
    'rotated',
    key,
    now,
    KeyRotated.toJSON({ keyId: key.id, userId: key.userId, graceEndsAt: graceEndsAt ?? undefined }),
  )

/** Tells that nothing remains of a key. */
export const tellExhausted = (tx: ISql, key: Pick<Key, 'id' | 'userId'>, now: Date) =>
  tell(tx, 'exhausted', key, now, KeyExhausted.toJSON({ keyId: key.id, userId: key.userId }))

const createdOf = ({ id, userId, name, permissions, expiresAt, sessionId }: Key) => ({
  keyId: id,
  userId,
  name,
  permissions: [...permissions],
  expiresAt: expiresAt ?? undefined,
  sessionId: sessionId ?? undefined,
})

const tell = (tx: ISql, what: string, { id }: Pick<Key, 'id'>, now: Date, data: unknown) =>
  appendEvent(tx, {
    id: newId('evt_', now),
    type: `key.${what}`,
    subject: id,
    time: now,
    data: data as object,
  })
