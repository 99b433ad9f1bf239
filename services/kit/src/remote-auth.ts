import type { ServiceError } from '@grpc/grpc-js'
import { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import type { Foundation } from './foundation.ts'
import { createGuard, type Guard } from './guard.ts'
import { createIdentityVerifier } from './identity.ts'
import { type commonRefusals, Refusal } from './refusal.ts'
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
  const authenticate = async (bearer: string, method: string, signal?: AbortSignal) => {
    const answer = await auth
      .authenticate({ bearer, method }, { signal })
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

// auth's refusal is the answer to the caller, reason and all; but not one of us, the service that asks.
function refusedByAuth(error: unknown): unknown {
  const { metadata } = error as Partial<ServiceError>
  const reason = metadata && reasonIn(metadata)
  const body = metadata?.get('x-instatunnel-error-body')[0]
  if (reason === undefined || typeof body !== 'string' || !PASSED_ON.has(reason)) return error
  const { message, required_scope, retry_after } = JSON.parse(body)
  return new Refusal(reason, message, {
    ...(required_scope === undefined ? {} : { requiredScope: required_scope }),
    ...(retry_after === undefined ? {} : { retryAfterSeconds: retry_after }),
  })
}

const PASSED_ON: ReadonlySet<string> = new Set([
  'CREDENTIAL_INVALID',
  'SCOPE_MISSING',
  'TUNNEL_TOKEN_CONNECTS_ONLY',
  'ADDRESS_NOT_ALLOWED',
  'RATE_LIMITED',
  'USAGE_EXCEEDED',
] satisfies (keyof typeof commonRefusals)[])
