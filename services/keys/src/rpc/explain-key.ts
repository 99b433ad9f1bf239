import { status } from '@grpc/grpc-js'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  ExplainKeyResponse_Check as Check,
  ExplainKeyRequest,
  ExplainKeyResponse,
} from '@instatunnel/proto/keys/v1/api_key_service'
import { keyIdFrom, visibleTo } from '../domain/key.ts'
import { findKey } from '../store/key-store.ts'
import { explainedFields } from './asked-fields.ts'
import type { Deps } from './deps.ts'

/** Tells which checks a request with a key would meet: the caller's own key, or anyone's with admin:read. auth knows. */
export const explainKey =
  ({ sql, now, auth }: Deps): Unary<ExplainKeyRequest, ExplainKeyResponse> =>
  async (request, call) => {
    const key = await findKey(sql, keyIdFrom(request.id))
    const { id: keyId, revokedAt } = visibleTo(identityOf(call), 'admin:read', key, now())
    const asked = validate(explainedFields, request)
    if (revokedAt) return explained([unknown(`The key was revoked at ${revokedAt.toISOString()}`)])
    const { checks } = await auth
      .explainKey({ keyId, ...asked }, { signal: call.signal })
      .catch(nobodysWhereNotFound)
    return explained(checks)
  }

function explained(checks: Check[]): ExplainKeyResponse {
  const stoppedAt = checks.find(({ passed }) => !passed)?.name
  return { allowed: stoppedAt === undefined, stoppedAt, checks }
}

const unknown = (message: string): Check => ({ name: 'key', passed: false, message })

/** A key that is here and not to be found by auth: its owner is no more, or it was revoked this moment. */
function nobodysWhereNotFound(error: { code?: unknown }): { checks: Check[] } {
  if (error.code === status.NOT_FOUND) return { checks: [unknown('The key belongs to nobody any more')] }
  throw error
}
