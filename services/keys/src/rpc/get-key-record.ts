import type { Unary } from '@instatunnel/kit/unary'
import type {
  GetKeyRecordRequest,
  KeyRecord,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { keyIdFrom, keyNotFound } from '../domain/key.ts'
import { findKey } from '../store/key-store.ts'
import type { Deps } from './deps.ts'
import { recordOf } from './key-record.ts'

/** Finds a key that is not revoked by its id, whoever has it. */
export const getKeyRecord =
  ({ sql }: Deps): Unary<GetKeyRecordRequest, KeyRecord> =>
  async ({ id }) => {
    const key = await findKey(sql, keyIdFrom(id))
    if (!key || key.revokedAt) throw keyNotFound()
    return recordOf(key)
  }
