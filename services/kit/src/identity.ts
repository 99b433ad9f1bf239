import type { Plan } from './plans.ts'
import type { Role } from './scope.ts'
import { createTokenVerifier, type TokenKind, type TokenTrust } from './token-verifier.ts'

/** What pins identity tokens down, so that no other token of the platform passes for one. */
export const IDENTITY_TOKEN: TokenKind = {
  typ: 'identity+jwt',
  issuer: 'instatunnel-auth',
  audience: 'instatunnel-services',
  lifeSeconds: 60,
}

/** What a call was made with. */
export interface PresentedCredential {
  readonly type: 'api_key' | 'session'
  /** The key's or the session's id. */
  readonly id: string
  /** The session that the credential is, or belongs to. */
  readonly sessionId?: string
  /** The key, masked. */
  readonly masked?: string
  /** When it ends, in Unix seconds; undefined where it never does. */
  readonly expiresAt?: number
  /** Patterns of the subdomains whose tunnels it may see, change and connect (kit/subdomain-pattern); undefined where all. */
  readonly subdomains?: readonly string[]
  /** The networks that it may be used from, in CIDR notation (kit/network); undefined where from everywhere. */
  readonly networks?: readonly string[]
  /** Set where its uses are counted down, or it has a window of its own. */
  readonly counted?: true
}

/** What bounds the credential that a call comes with, beside its scopes. */
export type CredentialBounds = Pick<
  PresentedCredential,
  'type' | 'networks' | 'subdomains' | 'counted' | 'expiresAt'
>

/**
 * True for a key that is held to networks, a time or a number of uses: no credential that it can get is held to less. A
 * session is none: it is renewed by logging in.
 */
export const isBounded = ({ type, networks, counted, expiresAt }: CredentialBounds): boolean =>
  type === 'api_key' && (networks !== undefined || counted === true || expiresAt !== undefined)

/** Who is calling, as auth vouches for. */
export interface Identity {
  readonly userId: string
  /** What the credential may do now. */
  readonly scopes: ReadonlySet<string>
  readonly plan: Plan
  readonly role: Role
  readonly credential: PresentedCredential
}

/** The claims of an identity token, beside the registered ones. */
export interface IdentityClaims {
  readonly scopes: readonly string[]
  readonly plan: Plan
  readonly role: Role
  readonly credential: PresentedCredential
}

/** Verifies identity tokens; refuses with CREDENTIAL_INVALID. */
export type VerifyIdentity = (token: string) => Promise<Identity>

/** A verifier that trusts auth's keys. */
export const createIdentityVerifier = (trust: TokenTrust): VerifyIdentity =>
  createTokenVerifier<IdentityClaims, Identity>({
    kind: IDENTITY_TOKEN,
    invalid: 'Invalid identity',
    trust,
    read: ({ sub = '', scopes, plan, role, credential }) => ({
      userId: sub,
      scopes: new Set(scopes),
      plan,
      role,
      credential,
    }),
  })
