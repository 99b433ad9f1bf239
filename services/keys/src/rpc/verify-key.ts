import { expandScopes } from '@instatunnel/kit/scope'
import { digestOf } from '@instatunnel/kit/secret'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { VerifyKeyRequest, VerifyKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { isAvailableTo } from '../domain/key.ts'
import { findKeyByHash } from '../store/key-store.ts'
import { verifiedUseFields } from './asked-fields.ts'
import type { Deps } from './deps.ts'
import { messageOf } from './key-message.ts'

/** Tells whether a key of the caller, or anyone's with admin:read, works now. auth decides, as for every call. */
export const verifyKey =
  ({ sql, now, peppers, auth }: Deps): Unary<VerifyKeyRequest, VerifyKeyResponse> =>
  async (request, call) => {
    const { key: secret, permissions, address } = validate(verifiedUseFields, request)
    const digest = digestOf(secret)
    const key = await findKeyByHash(sql, peppers.candidates(digest), now())
    if (!isAvailableTo(identityOf(call), 'admin:read', key)) return notFound
    const asked = { digest, permissions: expandScopes(permissions), address }
    const { code, retryAfter } = await auth.verifyKey(asked, { signal: call.signal })
    return code === notFound.code
      ? notFound
      : { valid: code === 'VALID', code, apiKey: messageOf(key, now()), retryAfter }
  }

const notFound = { valid: false, code: 'NOT_FOUND', apiKey: undefined }
