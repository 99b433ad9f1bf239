import { type ServiceError, status } from '@grpc/grpc-js'
import { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import type { Foundation } from './foundation.ts'
import { createGuard, type Guard } from './guard.ts'
import { createIdentityVerifier } from './identity.ts'
import { Refusal } from './refusal.ts'
import { reasonIn } from './status.ts'

/** The guard of every service but auth: auth's keys verify identities, and auth decides about bearers. */
export function createRemoteGuard(
  foundation: Foundation,
  authAddress: string,
  now: () => Date,
): { guard: Guard; auth: AuthClient } {
  const auth = authClientOf(foundation, authAddress)
  const verifyIdentity = createIdentityVerifier({
    listKeys: async () => (await auth.listIdentityKeys({})).keys,
    now,
  })
  const authenticate = async (bearer: string, method: string) => {
    const answer = await auth
      .authenticate({ bearer, method })
      .catch((error) => Promise.reject(refusedByAuth(error)))
    return answer.identity
  }
  return {
    guard: createGuard({ verifyIdentity, verifyService: foundation.verifyService, authenticate }),
    auth,
  }
}

const authClientOf = (foundation: Foundation, target: string) =>
  foundation.client(AuthorizationServiceService, target, 'auth')

/** What services ask auth. */
export type AuthClient = ReturnType<typeof authClientOf>

// auth's refusal is the answer to the caller, as it is; but not one of us, the service that asks.
function refusedByAuth(error: unknown): unknown {
  const { code, metadata } = error as Partial<ServiceError>
  const body = metadata?.get('x-instatunnel-error-body')[0]
  if (metadata === undefined || typeof body !== 'string' || reasonIn(metadata) === 'SERVICES_ONLY')
    return error
  const { message, required_scope, retry_after } = JSON.parse(body)
  const details = {
    ...(required_scope === undefined ? {} : { requiredScope: required_scope }),
    ...(retry_after === undefined ? {} : { retryAfterSeconds: retry_after }),
  }
  if (code === status.UNAUTHENTICATED) return new Refusal('CREDENTIAL_INVALID', message, details)
  if (code === status.PERMISSION_DENIED) return new Refusal('SCOPE_MISSING', message, details)
  if (code === status.RESOURCE_EXHAUSTED) return new Refusal('RATE_LIMITED', message, details)
  return error
}
