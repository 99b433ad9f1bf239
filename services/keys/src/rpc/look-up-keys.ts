import { digestField } from '@instatunnel/kit/secret'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  LookUpKeysRequest,
  LookUpKeysResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { z } from 'zod'
import { findKeysByHash } from '../store/key-store.ts'
import type { Deps } from './deps.ts'
import { recordOf } from './key-record.ts'

const DIGESTS_MAX = 500

// The count first: of a list too long, no item is looked at.
const request = z.object({
  digests: z.array(z.unknown()).max(DIGESTS_MAX, `must be at most ${DIGESTS_MAX}`).pipe(z.array(digestField)),
})

/** Finds the keys that are not revoked by the digests of their secrets, or of their old ones, whichever pepper those are kept under. */
export const lookUpKeys =
  ({ sql, now, peppers }: Deps): Unary<LookUpKeysRequest, LookUpKeysResponse> =>
  async (input) => {
    const { digests } = validate(request, input)
    const hashes = digests.map((digest) => peppers.candidates(digest))
    const indexes = hashes.flatMap((candidates, index) => candidates.map(() => index))
    const found = await findKeysByHash(sql, hashes.flat(), now())
    return {
      found: found.flatMap((key) =>
        key.revokedAt ? [] : [{ index: indexes[key.at] ?? 0, key: recordOf(key) }],
      ),
    }
  }
