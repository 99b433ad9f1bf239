import { isId } from '@instatunnel/kit/id'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  ExplainKeyRequest,
  ExplainKeyResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { z } from 'zod'
import type { Deps } from './deps.ts'

const request = z.object({
  keyId: z.string().refine((text) => isId(text, 'key_'), 'is not the id of a key'),
  method: z.string(),
  path: z.string(),
  address: z.string().optional(),
})

/** Tells which checks a request with a key would meet, and counts nothing. */
export const explainKey =
  ({ gate }: Deps): Unary<ExplainKeyRequest, ExplainKeyResponse> =>
  async (input, { signal }) => {
    const { keyId, ...asked } = validate(request, input)
    const checks = await gate.explainKey(keyId, asked, signal)
    if (!checks) throw new Refusal('KEY_NOT_FOUND', 'API key not found')
    return { checks: [...checks] }
  }
