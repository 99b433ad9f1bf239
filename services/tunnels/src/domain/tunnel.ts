import { isId } from '@instatunnel/kit/id'
import { type CredentialBounds, isBounded } from '@instatunnel/kit/identity'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Scope } from '@instatunnel/kit/scope'
import { isSubdomainAllowed } from '@instatunnel/kit/subdomain-pattern'
import { patternsOf, type Restricted } from './allowed-subdomain.ts'
import type { SealedToken } from './token-safe.ts'

/** What every tunnel's id begins with. */
export const TUNNEL_ID = 'tun_'

/** A name on the internet for a local port. */
export interface Tunnel extends SealedToken {
  readonly id: string
  readonly userId: string
  readonly name: string
  readonly subdomain: string
  readonly localPort: number
  /** How many seconds the local server may take to answer; 0 for no limit, null for the platform's. */
  readonly responseTimeout: number | null
  readonly createdAt: Date
  readonly updatedAt: Date
  /** True where it goes by itself once it has been without an agent for a while. */
  readonly ephemeral: boolean
  /** When an agent last connected. */
  readonly lastConnected: Date | null
}

/** Who asks: what a decision needs of an identity. */
export interface Asker extends Restricted {
  readonly credential: CredentialBounds
  readonly userId: string
  readonly scopes: ReadonlySet<string>
}

/** The id in a request; what is no id of ours names no tunnel. */
export function tunnelIdFrom(text: string): string {
  if (!isId(text, TUNNEL_ID)) throw tunnelNotFound()
  return text
}

/**
 * The tunnel, where it is the asker's own or the asker holds the admin scope, and the asker's credential is for its
 * subdomain; it is not to be found otherwise.
 */
export function availableTo<T extends Tunnel>(
  asker: Asker,
  adminScope: Extract<Scope, 'admin:read' | 'admin:write'>,
  tunnel: T | undefined,
): T {
  if (!tunnel || !(tunnel.userId === asker.userId || asker.scopes.has(adminScope))) throw tunnelNotFound()
  if (!isSubdomainAllowed(tunnel.subdomain, patternsOf(asker))) throw tunnelNotFound()
  return tunnel
}

/**
 * True where the asker sees the token whole: who holds it has the tunnel, so only those who may change the tunnel. A
 * token is good everywhere and until it is regenerated: a key that is not sees none.
 */
export const mayHoldToken = (asker: Asker, tunnel: Tunnel) =>
  asker.scopes.has('tunnels:write') &&
  (tunnel.userId === asker.userId || asker.scopes.has('admin:write')) &&
  !isBounded(asker.credential)

/** Refuses to give a token to a key that is held to more than the token. */
export function refuseBounded({ credential }: Pick<Asker, 'credential'>): void {
  if (!isBounded(credential)) return
  throw new Refusal(
    'KEY_BOUNDED',
    "This key is held to networks, a time or a number of uses, and a tunnel's token is to none of them; use another credential",
  )
}

/** What people choose about a tunnel, by its name on the wire. */
export const CHOICES = ['name', 'subdomain', 'local_port', 'response_timeout'] as const

/** The choices that differ between two states of a tunnel. */
export function changedChoices(before: Tunnel, after: Tunnel): (typeof CHOICES)[number][] {
  const differs = {
    name: before.name !== after.name,
    subdomain: before.subdomain !== after.subdomain,
    local_port: before.localPort !== after.localPort,
    response_timeout: before.responseTimeout !== after.responseTimeout,
  }
  return CHOICES.filter((choice) => differs[choice])
}

/** The refusal where there is no such tunnel for the asker. */
export const tunnelNotFound = () => new Refusal('TUNNEL_NOT_FOUND', 'Tunnel not found')
