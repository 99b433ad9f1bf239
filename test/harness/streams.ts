import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { openBucket } from '@instatunnel/kit/route-bucket'
import type { Nats } from '@instatunnel/local/nats'

/** The server, on which the streams and the relays' bucket are made whenever it has started, as tunnels does. */
export function withStreams(server: Nats): Nats & {
  makeStreams(): Promise<void>
  /** Starts it as it is. */
  startBare(): Promise<void>
} {
  const makeStreams = async () => {
    const log = createLog('test', 'silent')
    const nats = connectNats({ url: server.url, seed: server.seeds.tunnels, name: 'tunnels', log })
    await openBucket((await nats.ready).js, true)
    await nats.close()
  }
  return {
    ...server,
    makeStreams,
    startBare: server.start,
    async start() {
      await server.start()
      await makeStreams()
    },
  }
}
