import type { GoawayReason } from '@instatunnel/kit/goaway'
import type { PresentedCredential } from '@instatunnel/kit/identity'
import type { Account } from './account.ts'
import type { Signed } from './token.ts'

/** What a decision knows of a user: the account's plan, role and status. */
export type Standing = Pick<Account, 'plan' | 'role' | 'status'> & { readonly userId: string }

/** Whoever holds a valid key or session, and what it may do now. */
export interface UserHolder {
  readonly kind: 'user'
  readonly user: Standing
  readonly credential: PresentedCredential
  readonly scopes: ReadonlySet<string>
  /** Of a key: how many secrets it had before the one that it is held by. */
  readonly secretGeneration?: number
  /** When the credential, the session that it belongs to, or an old secret ends by itself; undefined where none does. */
  readonly endsAt?: Date
  /** Which of them that is, as agents are told; undefined where none does. */
  readonly endsAs?: GoawayReason
  /** The identity token that was last signed for it. */
  identity?: KeptIdentity | undefined
}

/** An identity token, and until when it is used again, in Unix milliseconds. */
export interface KeptIdentity {
  readonly signed: Signed
  readonly until: number
  /** When it was last made of what it was signed with, in Unix seconds. */
  madeIn: number
  /** Undefined where it is to be made of that. */
  token: string | undefined
}

/** Whoever holds a tunnel's own token. */
export interface TunnelHolder {
  readonly kind: 'tunnel'
  /** Whose the tunnel is. */
  readonly user: Standing
  readonly tunnelId: string
  /** How many tokens the tunnel had before this one. */
  readonly tokenGeneration: number
}

/** Whoever holds a valid credential. */
export type Holder = UserHolder | TunnelHolder
