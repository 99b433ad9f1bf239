import type { Connections } from './connections.ts'
import type { Peers } from './peers.ts'

/** What is in flight has so long to finish. */
const DRAIN_MS = 30_000
const LOOK_MS = 50

/** Sends every agent to another relay and waits until what is in flight, here and at peers, is done: 30 s at most. */
export async function drain(connections: Connections, peers: Peers): Promise<void> {
  connections.retire(() => true, 'draining')
  const until = performance.now() + DRAIN_MS
  while (connections.size + peers.streams > 0 && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  connections.cut(() => true, 'draining')
}
