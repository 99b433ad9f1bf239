import type { Handlers } from '@instatunnel/kit/unary'
import type { TunnelDirectoryServiceServer } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import type { TunnelServiceServer } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { createTunnel } from './rpc/create-tunnel.ts'
import { cutConnections } from './rpc/cut-connections.ts'
import { deleteTunnel } from './rpc/delete-tunnel.ts'
import type { Deps } from './rpc/deps.ts'
import { getTunnel } from './rpc/get-tunnel.ts'
import { getTunnelStats } from './rpc/get-tunnel-stats.ts'
import { getUsage } from './rpc/get-usage.ts'
import { listTunnelNames } from './rpc/list-tunnel-names.ts'
import { listTunnels } from './rpc/list-tunnels.ts'
import { lookUpSubdomains } from './rpc/look-up-subdomains.ts'
import { lookUpToken } from './rpc/look-up-token.ts'
import { lookUpTunnel } from './rpc/look-up-tunnel.ts'
import { regenerateToken } from './rpc/regenerate-token.ts'
import { regenerateTokens } from './rpc/regenerate-tokens.ts'
import { updateTunnel } from './rpc/update-tunnel.ts'

/** instatunnel.tunnels.v1.TunnelService: what users call. */
export const tunnelService = (deps: Deps) =>
  ({
    listTunnels: listTunnels(deps),
    getTunnel: getTunnel(deps),
    createTunnel: createTunnel(deps),
    updateTunnel: updateTunnel(deps),
    deleteTunnel: deleteTunnel(deps),
    regenerateToken: regenerateToken(deps),
    getTunnelStats: getTunnelStats(deps),
  }) satisfies Handlers<TunnelServiceServer>

/** instatunnel.tunnels.internal.v1.TunnelDirectoryService: what services call. */
export const tunnelDirectoryService = (deps: Deps) =>
  ({
    lookUpToken: lookUpToken(deps),
    lookUpTunnel: lookUpTunnel(deps),
    lookUpSubdomains: lookUpSubdomains(deps),
    listTunnelNames: listTunnelNames(deps),
    regenerateTokens: regenerateTokens(deps),
    cutConnections: cutConnections(deps),
    getUsage: getUsage(deps),
  }) satisfies Handlers<TunnelDirectoryServiceServer>
