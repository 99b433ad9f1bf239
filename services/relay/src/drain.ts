import type { Connections } from './connections.ts'
import type { Peers } from './peers.ts'

/** What is in flight has so long to finish. */
const DRAIN_MS = 30_000
/** A gateway asks for health once a second: by then each has heard that visitors are to go elsewhere. */
const HEARD_MS = 1500
const LOOK_MS = 50

/**
 * Sends every agent to another relay and waits until no gateway sends visitors here any more, and what is in flight,
 * here and at peers, is done and has reached its visitors: 30 s at most.
 */
export async function drain(options: {
  readonly connections: Connections
  readonly peers: Pick<Peers, 'streams'>
  /** Visitors that have not been answered whole. */
  readonly visitors: () => number
  /** Gateways' connections. */
  readonly gateways: () => number
  /** Counts on evenly (kit/clock, monotonicNow). */
  readonly now: () => Date
}): Promise<void> {
  const { connections, peers, visitors, gateways, now } = options
  connections.retire(() => true, 'draining')
  const since = now().getTime()
  const mayCome = () => gateways() > 0 && now().getTime() < since + HEARD_MS
  const isBusy = () => connections.size + peers.streams + visitors() > 0
  while ((isBusy() || mayCome()) && now().getTime() < since + DRAIN_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  connections.cut(() => true, 'draining')
}
