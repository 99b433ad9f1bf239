import type { ConnectClaims, ConnectCredential } from '@instatunnel/kit/connect'
import type { ConnectMode } from '@instatunnel/kit/connect-request'
import type { Plans } from '@instatunnel/kit/plans'
import { isSubdomainAllowed } from '@instatunnel/kit/subdomain-pattern'
import type { Holder } from './holder.ts'

/** Why a holder may not connect a tunnel; the codes are checked in this order. */
export type ConnectCode =
  | 'CONNECTS_ANOTHER'
  | 'NOT_FOUND'
  | 'SUBDOMAIN_NOT_ALLOWED'
  | 'TOKEN_REPLACED'
  | 'PLAN_WITHOUT_TUNNEL'
  | 'PLAN_WITHOUT_MODE'

/** What a decision knows of a tunnel. */
export interface TunnelFacts {
  readonly tunnelId: string
  readonly userId: string
  readonly subdomain: string
  /** How many tokens the tunnel had before the one it has. */
  readonly tokenGeneration: number
  /** How many of the user's tunnels are older. */
  readonly olderTunnels: number
  /** How many seconds the local server may take to answer; 0 for no limit, undefined for the platform's. */
  readonly responseTimeout?: number | undefined
}

/** Which tunnel is to be connected, as it is now, and how. */
export interface Connecting {
  readonly tunnelId: string
  /** Undefined where there is none of this id. */
  readonly tunnel: TunnelFacts | undefined
  readonly mode: ConnectMode
}

/**
 * The one verdict on a holder and a tunnel, for an agent that asks to connect and for a connection that lives: what the
 * connect token says, or why there is none. A token connects its own tunnel; everybody else their own tunnels, of which a
 * key may have some only. Those of others are not to be found, for admins too.
 */
export function judgeConnect(
  holder: Holder,
  { tunnelId, tunnel, mode }: Connecting,
  plans: Plans,
): ConnectClaims | ConnectCode {
  const { userId, plan } = holder.user
  if (holder.kind === 'tunnel' && holder.tunnelId !== tunnelId) return 'CONNECTS_ANOTHER'
  if (tunnel?.userId !== userId) return 'NOT_FOUND'
  const { subdomain, tokenGeneration, olderTunnels, responseTimeout } = tunnel
  if (!isSubdomainAllowed(subdomain, subdomainsOf(holder))) return 'SUBDOMAIN_NOT_ALLOWED'
  if (holder.kind === 'tunnel' && holder.tokenGeneration !== tokenGeneration) return 'TOKEN_REPLACED'
  if (olderTunnels >= plans[plan].tunnels) return 'PLAN_WITHOUT_TUNNEL'
  if (mode === 'mcp' && !plans[plan].mcp) return 'PLAN_WITHOUT_MODE'
  const credential = credentialOf(holder)
  const named = { id: tunnelId, subdomain, tokenGeneration }
  const limited = responseTimeout === undefined ? named : { ...named, responseTimeout }
  return { tunnel: limited, plan, mode, credential }
}

const subdomainsOf = (holder: Holder): readonly string[] =>
  (holder.kind === 'user' && holder.credential.subdomains) || []

function credentialOf(holder: Holder): ConnectCredential {
  if (holder.kind === 'tunnel') return { type: 'tunnel_token', id: holder.tunnelId }
  const { secretGeneration, endsAt, endsAs } = holder
  const { type, id, sessionId } = holder.credential
  return {
    type,
    id,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(secretGeneration === undefined ? {} : { secretGeneration }),
    ...(endsAt ? { expiresAt: endsAt.getTime() / 1000, expiryReason: endsAs } : {}),
  }
}
