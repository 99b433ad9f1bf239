import { newId } from '@instatunnel/kit/id'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { CreateKeyRequest, CreateKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { expiryOf } from '../domain/change.ts'
import { KEY_ID } from '../domain/key.ts'
import { refusePastLimit } from '../domain/key-limit.ts'
import { allOfOwner } from '../domain/permission.ts'
import { issueSecret } from '../domain/secret.ts'
import { countKeys, insertKey } from '../store/key-store.ts'
import { tellCreated } from '../store/outbox.ts'
import type { Deps } from './deps.ts'
import { newKeyFields } from './key-fields.ts'
import { messageOf } from './key-message.ts'
import { refuseUnheld } from './refuse-unheld.ts'

/** Makes a key for the caller and tells its secret, this once. */
export const createKey =
  ({ sql, now, random, peppers }: Deps): Unary<CreateKeyRequest, CreateKeyResponse> =>
  async (request, call) => {
    const caller = identityOf(call)
    const { name, permissions: asked, expiresIn, prefix, metadata } = validate(newKeyFields, request)
    const { userId } = caller
    const permissions = asked.length > 0 ? asked : allOfOwner({ userId }, caller)
    refuseUnheld(caller, permissions)

    const createdAt = now()
    const expiresAt = expiryOf(expiresIn, createdAt)
    const id = newId(KEY_ID, createdAt, random)
    const { secret, kept } = issueSecret(prefix, { random, peppers })
    const key = await sql.begin(async (tx) => {
      refusePastLimit(await countKeys(tx, userId))
      const wanted = { id, userId, sessionId: null, name, permissions, metadata, createdAt, expiresAt }
      const made = await insertKey(tx, wanted, kept)
      await tellCreated(tx, made, createdAt)
      return made
    })
    return { apiKey: messageOf(key), key: secret }
  }
