import { startConsumer } from '@instatunnel/kit/consumer'
import { isId } from '@instatunnel/kit/id'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { Sql } from '@instatunnel/kit/postgres'
import { TunnelConnected } from '@instatunnel/proto/events/v1/events'
import { TUNNEL_ID } from '../domain/tunnel.ts'
import { markConnected } from '../store/tunnel-store.ts'

/** Writes when an agent last connected a tunnel; hearing of it again, or of an earlier time, changes nothing. */
export const onTunnelConnected = (options: { sql: Sql; nats: Nats; log: Logger; now: () => Date }) =>
  startConsumer({
    nats: options.nats,
    log: options.log,
    stream: 'INSTATUNNEL',
    durable: 'tunnels-connected',
    type: 'tunnel.connected',
    handle: async (event) => {
      const { tunnelId } = TunnelConnected.fromJSON(event.data ?? {})
      // A relay whose clock is ahead shall not keep a tunnel in use beyond our own time.
      const at = Math.min(event.time.getTime(), options.now().getTime())
      if (!isId(tunnelId, TUNNEL_ID) || Number.isNaN(at)) return
      await markConnected(options.sql, tunnelId, new Date(at))
    },
  })
