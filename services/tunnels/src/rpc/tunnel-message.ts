import type { Tunnel as TunnelMessage } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { urlOf } from '../domain/address.ts'
import { maskedToken } from '../domain/token.ts'
import { type Asker, mayHoldToken, type Tunnel } from '../domain/tunnel.ts'
import type { Deps } from './deps.ts'

/** A tunnel as the contract shows it to this asker. */
export function messageOf(
  tunnel: Tunnel,
  asker: Asker,
  { safe, address, presence }: Pick<Deps, 'safe' | 'address' | 'presence'>,
): TunnelMessage {
  const { id, userId, name, subdomain, localPort, createdAt, updatedAt, lastConnected, ephemeral } = tunnel
  const { responseTimeout } = tunnel
  const token = safe.open(id, tunnel)
  return {
    id,
    name,
    subdomain,
    localPort,
    token: mayHoldToken(asker, tunnel) ? token : maskedToken(token),
    status: presence.isActive(id) ? 'active' : 'inactive',
    domain: address.domain,
    url: urlOf(subdomain, address),
    createdAt,
    updatedAt,
    lastConnected: lastConnected ?? undefined,
    userId,
    ephemeral,
    responseTimeout: responseTimeout ?? undefined,
  }
}
