import type { Rate } from '@instatunnel/kit/rate'
import type { Refusal } from '@instatunnel/kit/refusal'

/** What a decision may depend on, beside what is called: nothing else of a call is looked at. */
export interface Attempt {
  readonly authorization?: string | undefined
  readonly cookie?: string | undefined
  readonly origin?: string | undefined
  readonly fetchSite?: string | undefined
  /** The client's address as the gateway saw it; undefined where another service asks. */
  readonly address?: string | undefined
  /** "large" where the body is, or may be: it takes one of few places at the gateway. */
  readonly body?: string
}

/** What was decided. */
export interface Decision {
  /** The "no", where it is one. */
  readonly refusal?: Refusal
  /** An identity token for the call of an rpc; undefined where the rpc is public. */
  readonly identity?: string
  /** For the call of a public rpc: the client's address, signed (checked-address.ts). */
  readonly clientAddress?: string
  /** A connect token for an agent's request. */
  readonly connect?: string
  /** The window that counted the call, where it is admitted; undefined where none did. */
  readonly rate?: Rate
  /** What the answer to the call says beside that, whether it is admitted or refused. */
  readonly headers?: Readonly<Record<string, string>>
}

/** A "no". */
export type Refused = Decision & { readonly refusal: Refusal }
