import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { GetTunnelStatsRequest, TunnelStats } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { z } from 'zod'
import { dayOf, minuteOf } from '../domain/traffic.ts'
import { availableTo, tunnelIdFrom } from '../domain/tunnel.ts'
import { listTraffic } from '../store/traffic-store.ts'
import { findTunnel } from '../store/tunnel-store.ts'
import type { Deps } from './deps.ts'
import { periodMessage } from './period-message.ts'

/** How far back a series goes: so much where it is not said, and so much at most. */
const reach = (unsaid: number, most: number) => {
  const said = `must be from 1 to ${most}`
  return z
    .int(said)
    .min(0, said)
    .max(most, said)
    .transform((units) => units || unsaid)
}

const ranges = z.object({ minutes: reach(60, 1440), days: reach(30, 365) })

/** Returns what passed through a tunnel: the caller's own, or anyone's to admin:read. */
export const getTunnelStats =
  ({ sql, now }: Deps): Unary<GetTunnelStatsRequest, TunnelStats> =>
  async (request, call) => {
    const id = tunnelIdFrom(request.id)
    const { minutes, days } = validate(ranges, request)
    const { createdAt } = availableTo(identityOf(call), 'admin:read', await findTunnel(sql, id))
    const at = now()
    // The current minute and day are among them.
    const since = { minutes: minuteOf(at, minutes - 1), days: dayOf(at, days - 1) }
    const periods = await listTraffic(sql, id, since)
    const seriesOf = (unit: 'minute' | 'day') =>
      periods.filter((period) => period.unit === unit).map((period) => periodMessage(period.start, period))
    return {
      tunnelId: id,
      total: periodMessage(
        createdAt,
        periods.find(({ unit }) => unit === 'all'),
      ),
      minutes: seriesOf('minute'),
      days: seriesOf('day'),
    }
  }
