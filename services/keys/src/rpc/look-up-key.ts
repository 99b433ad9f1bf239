import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { KeyRecord, LookUpKeyRequest } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { findKeyByHash } from '../store/key-store.ts'
import type { Deps } from './deps.ts'
import { digestFields } from './key-fields.ts'
import { recordOf } from './key-record.ts'

/** Finds a key that is not revoked by the digest of its secret, or of its old one, whichever pepper that is kept under. */
export const lookUpKey =
  ({ sql, now, peppers }: Deps): Unary<LookUpKeyRequest, KeyRecord> =>
  async (request) => {
    const { digest } = validate(digestFields, request)
    return recordOf(await findKeyByHash(sql, peppers.candidates(digest), now()))
  }
