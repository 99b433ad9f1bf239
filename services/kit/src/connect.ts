import type { ConnectMode } from './connect-request.ts'
import type { GoawayReason } from './goaway.ts'
import type { Plan } from './plans.ts'
import { createTokenVerifier, type TokenKind, type TokenTrust } from './token-verifier.ts'

/** Where auth puts the connect token of an agent's request; nothing that a client sends arrives under this name. */
export const CONNECT_HEADER = 'x-instatunnel-connect'

/** What pins connect tokens down: they are signed with the keys of identities, and neither passes for the other. */
export const CONNECT_TOKEN: TokenKind = {
  typ: 'connect+jwt',
  issuer: 'instatunnel-auth',
  audience: 'instatunnel-relay',
  lifeSeconds: 60,
}

/** The kinds of credential that an agent may connect with. */
export const CONNECT_CREDENTIALS = ['api_key', 'session', 'tunnel_token'] as const

/** What an agent was admitted with, and what its connection therefore ends with. */
export interface ConnectCredential {
  readonly type: (typeof CONNECT_CREDENTIALS)[number]
  /** The key's or the session's id; of a tunnel's token, the tunnel's. */
  readonly id: string
  /** The session that the credential is, or belongs to. */
  readonly sessionId?: string
  /** Of a key: how many secrets it had before the one that was presented. */
  readonly secretGeneration?: number
  /**
   * When it ends by itself, alone, with its session or with the grace period of an old secret, in Unix seconds and to
   * the millisecond; undefined where it does not.
   */
  readonly expiresAt?: number
  /** What ends it then; undefined where nothing does. */
  readonly expiryReason?: GoawayReason
}

/** The claims of a connect token, beside the registered ones. */
export interface ConnectClaims {
  readonly tunnel: {
    readonly id: string
    readonly subdomain: string
    /** How many tokens the tunnel had before the one it has; where a token was presented, before that one. */
    readonly tokenGeneration: number
    /** How many seconds the local server may take to answer; 0 for no limit, undefined for the platform's. */
    readonly responseTimeout?: number
  }
  readonly plan: Plan
  readonly mode: ConnectMode
  readonly credential: ConnectCredential
  /** Where the agent connects from, as the gateway saw it; undefined where that is not known. */
  readonly address?: string | undefined
}

/** Which tunnel an agent may connect, as auth vouches for. */
export interface ConnectGrant extends ConnectClaims {
  /** Whose the tunnel is. */
  readonly userId: string
  /** When auth decided, in Unix seconds. */
  readonly issuedAt: number
}

/** Verifies connect tokens; refuses with CREDENTIAL_INVALID. */
export type VerifyConnect = (token: string) => Promise<ConnectGrant>

/** A verifier that trusts auth's keys. */
export const createConnectVerifier = (trust: TokenTrust): VerifyConnect =>
  createTokenVerifier<ConnectClaims, ConnectGrant>({
    kind: CONNECT_TOKEN,
    invalid: 'Invalid connect token',
    trust,
    read: ({ sub = '', iat = 0, tunnel, plan, mode, credential, address }) => ({
      userId: sub,
      issuedAt: iat,
      tunnel,
      plan,
      mode,
      credential,
      address,
    }),
  })
