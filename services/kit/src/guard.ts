import type { Metadata } from '@grpc/grpc-js'
import type { Identity, VerifyIdentity } from './identity.ts'
import { Refusal } from './refusal.ts'
import type { Rule } from './rules.ts'
import { identifyService, type VerifyServiceToken } from './service-identity.ts'
import { isServiceName, type ServiceName } from './service-name.ts'

/** Who is calling an rpc. */
export type Caller =
  | { readonly kind: 'user'; readonly identity: Identity }
  | { readonly kind: 'service'; readonly service: ServiceName }
  | {
      readonly kind: 'anyone'
      /** The client's address; empty where it is not known. */
      readonly address: string
    }

/** Where callers put what vouches for them. */
export const IDENTITY_METADATA = 'x-instatunnel-identity'
export const SERVICE_METADATA = 'x-instatunnel-service'

/** Admits a call by its rule, or refuses. `certified` are the services that the caller's certificate names; undefined in clear. */
export type Guard = (call: {
  metadata: Metadata
  method: string
  rule: Rule
  certified?: readonly string[] | undefined
  /** The address of who is connected; empty where it is not known. */
  peerAddress: () => string
  /** Aborts when the caller goes away. */
  signal?: AbortSignal
}) => Promise<Caller>

/** Admits a call of a public rpc and tells the client's address, or refuses. */
export type AdmitPublic = (
  call: Pick<Parameters<Guard>[0], 'metadata' | 'method' | 'peerAddress' | 'signal'>,
) => Promise<string>

/**
 * The interceptor in front of every rpc. The gateway is not the only guard: a call that reaches a service directly
 * carries an identity that auth made, a bearer that auth is asked about, or a service's own token.
 */
export function createGuard(options: {
  verifyIdentity: VerifyIdentity
  verifyService: VerifyServiceToken
  /** Asks auth to decide about a bearer; gives an identity token. */
  authenticate: (bearer: string, method: string, signal?: AbortSignal) => Promise<string>
  /** Left out, nobody is admitted to a public rpc. */
  admitPublic?: AdmitPublic
}): Guard {
  return async ({ metadata, method, rule, certified, peerAddress, signal }) => {
    if (rule.kind === 'public') {
      if (!options.admitPublic) throw credentialMissing()
      return { kind: 'anyone', address: await options.admitPublic({ metadata, method, peerAddress, signal }) }
    }
    if (rule.kind === 'internal') {
      const token = first(metadata, SERVICE_METADATA)
      const service = await identifyService({ verifyService: options.verifyService, token, certified })
      if (!isServiceName(service) || !rule.callers.includes(service)) throw notForThisService()
      return { kind: 'service', service }
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

const notForThisService = () => new Refusal('NOT_FOR_THIS_SERVICE', 'This service may not call this')

function bearerOf(metadata: Metadata): string {
  const [, bearer] = /^Bearer +([^\s]+)$/i.exec(first(metadata, 'authorization') ?? '') ?? []
  if (bearer === undefined) throw credentialMissing()
  return bearer
}

const credentialMissing = () => new Refusal('CREDENTIAL_MISSING', 'Invalid or missing API key')

const first = (metadata: Metadata, name: string): string | undefined => {
  const [value] = metadata.get(name)
  return typeof value === 'string' ? value : undefined
}
