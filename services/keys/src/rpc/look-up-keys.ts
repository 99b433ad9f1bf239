import { digestField } from '@instatunnel/kit/secret'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  LookUpKeysRequest,
  LookUpKeysResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { z } from 'zod'
import { findRecordsByHash } from '../store/record-store.ts'
import type { Deps } from './deps.ts'
import { recordOf, revisionOf } from './key-record.ts'

const DIGESTS_MAX = 500

// The count first: of a list too long, no item is looked at.
const request = z
  .object({
    digests: z
      .array(z.unknown())
      .max(DIGESTS_MAX, `must be at most ${DIGESTS_MAX}`)
      .pipe(z.array(digestField)),
    revisions: z.array(z.instanceof(Buffer)),
  })
  .refine(({ digests, revisions }) => revisions.length === 0 || revisions.length === digests.length, {
    path: ['revisions'],
    message: 'must be none, or one for each digest',
  })

/** Finds the keys that are not revoked by the digests of their secrets, or of their old ones, whichever pepper those are kept under. */
export const lookUpKeys =
  ({ sql, now, peppers }: Deps): Unary<LookUpKeysRequest, LookUpKeysResponse> =>
  async (input) => {
    const { digests, revisions } = validate(request, input)
    const hashes = digests.map((digest) => peppers.candidates(digest))
    const indexes = hashes.flatMap((candidates, index) => candidates.map(() => index))
    const answer: LookUpKeysResponse = { found: [], unchanged: [] }
    for (const found of await findRecordsByHash(sql, hashes.flat(), now())) {
      const index = indexes[found.at] ?? 0
      const key = recordOf(found)
      const revision = revisionOf(key)
      if (revisions[index]?.equals(revision)) answer.unchanged.push(index)
      else answer.found.push({ index, key, revision })
    }
    return answer
  }
