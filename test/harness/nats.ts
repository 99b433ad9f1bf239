import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Nats, startNats } from '@instatunnel/local/nats'
import { afterAll } from 'vitest'
import { type Observer, observe } from './observer.ts'
import { withStreams } from './streams.ts'

/** A NATS server that one test file has to itself. */
export interface FreshNats extends Nats {
  /** Reads both streams from their start on; see observer.ts. */
  observe(): Promise<Observer>
}

/**
 * Starts a NATS server of one's own, with a seed for every user in `seeds`. Call it at the top of a file
 * (`const nats = await freshNats()`): it is stopped, and its data removed, after the file's last test. `streams` makes
 * those of the platform at each start, for the relay, which makes none.
 */
export async function freshNats({ streams = false } = {}): Promise<FreshNats> {
  const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-nats-'))
  const server = withStreams(await startNats({ dataDir, port: 0 }))
  if (streams) await server.makeStreams()
  const nats: Nats = streams ? server : { ...server, start: server.startBare }
  const observers: Observer[] = []
  afterAll(async () => {
    await Promise.all(observers.map((observer) => observer.close()))
    await nats.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    ...nats,
    observe: async () => {
      const observer = await observe({ url: nats.url, seed: nats.seeds.observer })
      observers.push(observer)
      return observer
    },
  }
}
