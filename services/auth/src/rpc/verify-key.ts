import { digestField } from '@instatunnel/kit/secret'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  VerifyKeyRequest,
  VerifyKeyResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { z } from 'zod'
import type { Deps } from './deps.ts'

const request = z.object({
  digest: digestField,
  permissions: z.array(z.string()).max(32, 'must be at most 32'),
  address: z.string().optional(),
})

/** Decides whether a key may be used now, and counts the use where it may. */
export const verifyKey =
  ({ gate }: Deps): Unary<VerifyKeyRequest, VerifyKeyResponse> =>
  async (input, { signal }) => {
    const { digest, permissions, address } = validate(request, input)
    const { code, retryAfterSeconds } = await gate.verifyKey(digest, permissions, address, signal)
    return { code, retryAfter: retryAfterSeconds }
  }
