import { startConsumer } from '@instatunnel/kit/consumer'
import { isFirstDelivery } from '@instatunnel/kit/event'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { Sql } from '@instatunnel/kit/postgres'
import { TunnelUsage } from '@instatunnel/proto/events/v1/events'
import { trafficPerUser } from '../domain/usage.ts'
import { addTraffic } from '../store/usage-store.ts'

/** Adds what passed through tunnels to their users' totals, each batch once. */
export const onTunnelUsage = ({ sql, nats, log }: { sql: Sql; nats: Nats; log: Logger }) =>
  startConsumer({
    nats,
    log,
    stream: 'INSTATUNNEL_USAGE',
    durable: 'tunnels-usage',
    type: 'usage.tunnel',
    handle: async (event) => {
      const { uses } = TunnelUsage.fromJSON(event.data)
      await sql.begin(async (tx) => {
        if (!(await isFirstDelivery(tx, event.id))) return
        for (const traffic of trafficPerUser(uses)) await addTraffic(tx, traffic)
      })
    },
  })
