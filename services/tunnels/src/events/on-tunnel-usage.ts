import { type HeardEvent, startConsumer } from '@instatunnel/kit/consumer'
import { isFirstDelivery } from '@instatunnel/kit/event'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { Sql } from '@instatunnel/kit/postgres'
import { TunnelUsage_Use } from '@instatunnel/proto/events/v1/events'
import { trafficPerTunnel } from '../domain/traffic-per-tunnel.ts'
import { trafficPerUser } from '../domain/usage.ts'
import { addTraffic, holdTunnels } from '../store/traffic-store.ts'
import { addUserTraffic } from '../store/usage-store.ts'

/** Adds what passed through tunnels to their periods and to their users' totals, each batch once. */
export const onTunnelUsage = (options: { sql: Sql; nats: Nats; log: Logger; now: () => Date }) =>
  startConsumer({
    nats: options.nats,
    log: options.log,
    stream: 'INSTATUNNEL_USAGE',
    durable: 'tunnels-usage',
    type: 'usage.tunnel',
    handle: addBatch(options),
  })

/** Adds one batch, where it was not added before. */
export const addBatch =
  ({ sql, now }: { sql: Sql; now: () => Date }) =>
  async (event: Pick<HeardEvent, 'id' | 'data'>): Promise<void> => {
    const uses = usesOf(event.data)
    const users = trafficPerUser(uses)
    const periods = trafficPerTunnel(uses, now())
    await sql.begin(async (tx) => {
      if (!(await isFirstDelivery(tx, event.id))) return
      // Users, then tunnels, then their traffic: CreateTunnel, too, locks in this order where it makes room.
      await addUserTraffic(tx, users)
      const ids = [...new Set(periods.map(({ tunnelId }) => tunnelId))]
      const held = await holdTunnels(tx, ids)
      await addTraffic(
        tx,
        periods.filter(({ tunnelId }) => held.has(tunnelId)),
      )
    })
  }

/** The uses that a batch holds, whatever else it holds. */
function usesOf(data: unknown): TunnelUsage_Use[] {
  const { uses } = (data ?? {}) as { uses?: unknown }
  return Array.isArray(uses) ? uses.map((use) => TunnelUsage_Use.fromJSON(use ?? {})) : []
}
