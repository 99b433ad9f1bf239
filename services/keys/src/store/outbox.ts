import { appendEvent } from '@instatunnel/kit/event'
import { newId } from '@instatunnel/kit/id'
import type { ISql } from '@instatunnel/kit/postgres'
import { KeyCreated, KeyRevoked, KeyUpdated } from '@instatunnel/proto/events/v1/events'
import type { Key } from '../domain/key.ts'

/** Tells that a key was made. */
export const tellCreated = (tx: ISql, key: Key, now: Date) =>
  tell(tx, 'created', key, now, KeyCreated.toJSON(KeyCreated.fromPartial(createdOf(key))))

/** Tells which of a key's fields changed, by their names on the wire. */
export const tellUpdated = (tx: ISql, key: Key, changed: string[], now: Date) =>
  tell(tx, 'updated', key, now, KeyUpdated.toJSON({ keyId: key.id, userId: key.userId, changed }))

/** Tells that a key works no longer. */
export const tellRevoked = (tx: ISql, key: Key, reason: string, now: Date) =>
  tell(tx, 'revoked', key, now, KeyRevoked.toJSON({ keyId: key.id, userId: key.userId, reason }))

const createdOf = ({ id, userId, name, permissions, expiresAt, sessionId }: Key) => ({
  keyId: id,
  userId,
  name,
  permissions: [...permissions],
  expiresAt: expiresAt ?? undefined,
  sessionId: sessionId ?? undefined,
})

const tell = (tx: ISql, what: string, { id }: Key, now: Date, data: unknown) =>
  appendEvent(tx, {
    id: newId('evt_', now),
    type: `key.${what}`,
    subject: id,
    time: now,
    data: data as object,
  })
