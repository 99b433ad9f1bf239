import type { TransactionSql } from '@instatunnel/kit/postgres'
import { idleUntil } from '../domain/presence.ts'
import { lockEphemeral } from '../store/ephemeral-store.ts'
import { tellDeleted } from '../store/outbox.ts'
import { deleteTunnel } from '../store/tunnel-store.ts'
import type { WhoseTunnels } from '../store/whose-tunnels.ts'
import type { Deps } from './deps.ts'

// So long an agent may take to connect the tunnel that was made for it.
const CONNECTING_MS = 10_000

/**
 * Deletes up to `wanted` of a user's ephemeral tunnels that no agent is at, those first that waited longest for one;
 * none whose subdomain the patterns leave out.
 */
export async function makeRoom(
  tx: TransactionSql,
  { wanted, ...whose }: WhoseTunnels & { readonly wanted: number },
  { presence, now }: Pick<Deps, 'presence' | 'now'>,
): Promise<void> {
  const until = now()
  const connecting = new Date(until.getTime() - CONNECTING_MS)
  const ephemeral = await lockEphemeral(tx, whose)
  const mayGo = ephemeral.filter(({ createdAt }) => createdAt < connecting)
  for (const tunnel of idleUntil(mayGo, until, presence).slice(0, wanted)) {
    await deleteTunnel(tx, tunnel.id)
    await tellDeleted(tx, tunnel, until)
  }
}
