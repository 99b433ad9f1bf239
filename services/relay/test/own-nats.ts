import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId } from '@instatunnel/kit/id'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { publishEvent } from '@instatunnel/kit/publisher'
import { startNats } from '@instatunnel/local/nats'
import { observe } from '@instatunnel/test/observer'
import { withStreams } from '@instatunnel/test/streams'
import { onTestFinished } from 'vitest'

type User = 'auth' | 'keys' | 'tunnels' | 'relay'

/** A NATS server of the test's own, which it may kill, start again and rob of all that it kept. */
export async function ownNats() {
  const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-relay-'))
  const server = withStreams(await startNats({ dataDir, port: 0 }))
  await server.makeStreams()
  onTestFinished(async () => {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  const logged: string[] = []
  const log = createLog('test', 'trace', { write: (line) => void logged.push(line) })
  const connect = (user: User) => {
    const nats = connectNats({
      url: server.url,
      seed: server.seeds[user],
      name: user,
      log,
      makes: user !== 'relay',
    })
    onTestFinished(() => nats.close())
    return nats
  }
  return {
    kill: server.kill,
    start: server.start,
    stop: server.stop,
    log,
    logged,
    connect,
    /** Removes the streams, while it does not run. */
    rob: () => rm(join(dataDir, 'nats', 'jetstream'), { recursive: true }),
    /** Someone who tells events as a service does. */
    teller(user: User) {
      const nats = connect(user)
      const tell = (type: string, data: object, time = new Date()) =>
        publishEvent(nats, user, { id: newId('evt_', time), type, subject: 'subject', time, data })
      return Object.assign(tell, { nats })
    },
    async observe() {
      const observer = await observe({ url: server.url, seed: server.seeds.observer })
      onTestFinished(() => observer.close())
      return observer
    },
  }
}
