import type { ServiceClient } from '@instatunnel/kit/client'
import type { Evict } from '@instatunnel/kit/eviction'
import type { Random } from '@instatunnel/kit/id'
import type { Logger } from '@instatunnel/kit/log'
import type { Sql } from '@instatunnel/kit/postgres'
import type { AuthClient } from '@instatunnel/kit/remote-auth'
import type { Peppers } from '@instatunnel/kit/secret'
import type { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import type { Recall } from '../domain/lease-recall.ts'

/** What the handlers stand on; made once, in start.ts. */
export interface Deps {
  readonly sql: Sql
  readonly now: () => Date
  readonly random: Random
  readonly peppers: Peppers
  readonly auth: Pick<AuthClient, 'explainKey' | 'findUser' | 'verifyKey'>
  readonly tunnels: Pick<
    ServiceClient<typeof TunnelDirectoryServiceService>,
    'cutConnections' | 'listTunnelNames' | 'regenerateTokens'
  >
  /** Has every replica of auth forget a key: after each committed change of one, before it is answered. */
  readonly evict: Evict
  /** Has other replicas of auth settle what they hold of a key. */
  readonly recall: Recall
  readonly log: Logger
}
