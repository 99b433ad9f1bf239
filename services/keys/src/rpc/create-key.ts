import { newId } from '@instatunnel/kit/id'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { CreateKeyRequest, CreateKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { boundsWithin } from '../domain/bounds.ts'
import { expiryOf } from '../domain/expiry.ts'
import { KEY_ID } from '../domain/key.ts'
import { refusePastLimit } from '../domain/key-limit.ts'
import { newMetering } from '../domain/metering.ts'
import { allOfOwner } from '../domain/permission.ts'
import { issueSecret } from '../domain/secret.ts'
import { countKeys, insertKey } from '../store/key-store.ts'
import { tellCreated } from '../store/outbox.ts'
import type { Deps } from './deps.ts'
import { newKeyFields } from './key-fields.ts'
import { messageOf } from './key-message.ts'
import { ownerOf } from './owner-of.ts'
import { refuseServerOnly } from './refuse-server-only.ts'
import { refuseUnbound, refuseUnheld, refuseUnheldByOwner } from './refuse-unheld.ts'

/** Makes a key, for the caller or for whom a server says, and tells its secret, this once. */
export const createKey =
  ({ sql, now, random, peppers, auth }: Deps): Unary<CreateKeyRequest, CreateKeyResponse> =>
  async (request, call) => {
    const caller = identityOf(call)
    const {
      permissions: asked,
      noPermissions,
      expiresIn,
      expiresAt,
      prefix,
      userId: wanted,
      ...given
    } = validate(newKeyFields, request)
    const { name, metadata, allowedIps, allowedSubdomains, ...counted } = given
    if ([wanted, ...Object.values(counted)].some((value) => value !== undefined)) refuseServerOnly(caller)
    const createdAt = now()
    const metering = newMetering(counted, createdAt)

    const owner = await ownerOf(caller, wanted, { auth, signal: call.signal })
    const { userId } = owner
    const permissions = noPermissions || asked.length > 0 ? asked : allOfOwner({ userId }, caller)
    const bounds = boundsWithin(
      { allowedIps, allowedSubdomains, expiresAt: expiryOf({ expiresIn, expiresAt }, createdAt) },
      caller.credential,
    )
    refuseUnheld(caller, permissions)
    refuseUnbound(caller, bounds)
    if (owner !== caller) refuseUnheldByOwner(owner.role, permissions)

    const id = newId(KEY_ID, createdAt, random)
    const { secret, kept } = issueSecret(prefix, { random, peppers })
    const chosen = { name, permissions, enabled: true, metadata, ...bounds, ...metering }
    const key = await sql.begin(async (tx) => {
      refusePastLimit(await countKeys(tx, userId))
      const made = await insertKey(tx, { id, userId, sessionId: null, createdAt, ...chosen }, kept)
      await tellCreated(tx, made, createdAt)
      return made
    })
    return { apiKey: messageOf(key, createdAt), key: secret }
  }
