import type { CreateTunnelRequest, Tunnel } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { refused } from '@instatunnel/test/refused'
import type { User } from './start-tunnels.ts'

/** Has a user make a tunnel; as it was answered. */
export async function made(user: User, request: Partial<CreateTunnelRequest> = {}): Promise<Tunnel> {
  const { tunnel } = await user.createTunnel({ name: 'before', localPort: 3000, ...request })
  if (!tunnel) throw new Error('no tunnel in the answer')
  return tunnel
}

/** What became of calls made at once: how many were answered, and how many refused, by their reasons. */
export async function outcomesOf(calls: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const outcomes = await Promise.all(
    calls.map((call) =>
      call.then(
        () => 'OK',
        () => refused(call).then(({ reason }) => reason),
      ),
    ),
  )
  return Object.fromEntries(
    [...Map.groupBy(outcomes, (outcome) => outcome)].map(([name, all]) => [name, all.length]),
  )
}
