import type { Metadata } from '@grpc/grpc-js'
import type { Identity, VerifyIdentity } from './identity.ts'
import { Refusal } from './refusal.ts'
import type { Rule } from './rules.ts'
import type { VerifyServiceToken } from './service-identity.ts'

/** Who is calling an rpc. */
export type Caller =
  | { readonly kind: 'user'; readonly identity: Identity }
  | { readonly kind: 'service'; readonly service: string }
  | { readonly kind: 'anyone' }

/** Where callers put what vouches for them. */
export const IDENTITY_METADATA = 'x-instatunnel-identity'
export const SERVICE_METADATA = 'x-instatunnel-service'

/** Admits a call by its rule, or refuses. `peer` is the service that mutual TLS names. */
export type Guard = (call: {
  metadata: Metadata
  method: string
  rule: Rule
  peer?: string | undefined
  /** Aborts when the caller goes away. */
  signal?: AbortSignal
}) => Promise<Caller>

/**
 * The interceptor in front of every rpc. The gateway is not the only guard: a call that reaches a service directly
 * carries an identity that auth made, a bearer that auth is asked about, or a service's own token.
 */
export function createGuard(options: {
  verifyIdentity: VerifyIdentity
  verifyService: VerifyServiceToken
  /** Asks auth to decide about a bearer; gives an identity token. */
  authenticate: (bearer: string, method: string, signal?: AbortSignal) => Promise<string>
}): Guard {
  return async ({ metadata, method, rule, peer, signal }) => {
    if (rule.kind === 'public') return { kind: 'anyone' }
    if (rule.kind === 'internal') {
      if (peer !== undefined) return { kind: 'service', service: peer }
      return {
        kind: 'service',
        service: await options.verifyService(first(metadata, SERVICE_METADATA) ?? ''),
      }
    }
    const token =
      first(metadata, IDENTITY_METADATA) ?? (await options.authenticate(bearerOf(metadata), method, signal))
    const identity = await options.verifyIdentity(token)
    if (rule.scope !== 'any' && !identity.scopes.has(rule.scope)) throw scopeMissing(rule.scope)
    return { kind: 'user', identity }
  }
}

/** The refusal of a call whose credential lacks a scope. */
export const scopeMissing = (scope: string) =>
  new Refusal('SCOPE_MISSING', 'Insufficient permissions for this operation', { requiredScope: scope })

function bearerOf(metadata: Metadata): string {
  const [, bearer] = /^Bearer +([^\s]+)$/i.exec(first(metadata, 'authorization') ?? '') ?? []
  if (bearer === undefined) throw new Refusal('CREDENTIAL_MISSING', 'Invalid or missing API key')
  return bearer
}

const first = (metadata: Metadata, name: string): string | undefined => {
  const [value] = metadata.get(name)
  return typeof value === 'string' ? value : undefined
}
