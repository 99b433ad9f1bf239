import { newId } from '@instatunnel/kit/id'
import type { ISql } from '@instatunnel/kit/postgres'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  CreateSessionKeyRequest,
  CreateSessionKeyResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { changedFields } from '../domain/change.ts'
import { KEY_ID, type Key } from '../domain/key.ts'
import { newMetering } from '../domain/metering.ts'
import { issueSecret, type KeptSecret } from '../domain/secret.ts'
import { refuseUnrenewable, SESSION_KEY_NAME, sessionKeyRevoked } from '../domain/session-key.ts'
import { insertKey } from '../store/key-store.ts'
import { tellCreated, tellUpdated } from '../store/outbox.ts'
import { hasEnded, holdSession, lockSessionKey, replaceSecret } from '../store/session-key-store.ts'
import type { Deps } from './deps.ts'
import { sessionKeyFields } from './key-fields.ts'

/** Makes a session's key and tells its secret; asked again, replaces the secret. */
export const createSessionKey =
  ({ sql, now, random, peppers, evict }: Deps): Unary<CreateSessionKeyRequest, CreateSessionKeyResponse> =>
  async (request) => {
    const { sessionId, userId, permissions } = validate(sessionKeyFields, request)
    const { secret, kept } = issueSecret(undefined, { random, peppers })
    const { id, isRenewed } = await sql.begin(async (tx) => {
      await holdSession(tx, sessionId)
      const time = now()
      const before = await lockSessionKey(tx, sessionId)
      if (before) {
        refuseUnrenewable(before, userId)
        await renew(tx, before, { ...before, permissions, updatedAt: time }, kept)
        return { id: before.id, isRenewed: true }
      }
      if (await hasEnded(tx, sessionId)) throw sessionKeyRevoked()
      const id = newId(KEY_ID, time, random)
      const wanted = {
        id,
        userId,
        sessionId,
        permissions,
        createdAt: time,
        ...SESSION_KEY,
        ...newMetering({}, time),
      }
      await tellCreated(tx, await insertKey(tx, wanted, kept), time)
      return { id, isRenewed: false }
    })
    if (isRenewed) await evict({ keys: [id] })
    return { keyId: id, key: secret }
  }

const SESSION_KEY = {
  name: SESSION_KEY_NAME,
  enabled: true,
  metadata: {},
  expiresAt: null,
  allowedIps: [],
  allowedSubdomains: [],
}

async function renew(tx: ISql, before: Key, after: Key, secret: KeptSecret): Promise<void> {
  await replaceSecret(tx, after, secret)
  // "key" is the masked secret: whoever remembers the one before forgets it.
  await tellUpdated(tx, after, ['key', ...changedFields(before, after)], after.updatedAt)
}
