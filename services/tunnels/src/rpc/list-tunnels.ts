import { paged, pageOf } from '@instatunnel/kit/page'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { ListTunnelsRequest, ListTunnelsResponse } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { patternsOf } from '../domain/allowed-subdomain.ts'
import { TUNNEL_ID } from '../domain/tunnel.ts'
import { listTunnels as list } from '../store/tunnel-store.ts'
import type { Deps } from './deps.ts'
import { messageOf } from './tunnel-message.ts'

/** Lists the caller's tunnels that the credential is for, newest first. */
export const listTunnels =
  (deps: Deps): Unary<ListTunnelsRequest, ListTunnelsResponse> =>
  async (request, call) => {
    const caller = identityOf(call)
    const page = pageOf(request, TUNNEL_ID)
    const whose = { userId: caller.userId, patterns: patternsOf(caller) }
    const { rows, nextPageToken } = paged(await list(deps.sql, whose, page), page)
    return { tunnels: rows.map((tunnel) => messageOf(tunnel, caller, deps)), nextPageToken }
  }
