import { newId } from '@instatunnel/kit/id'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { publishEvent } from '@instatunnel/kit/publisher'
import { TunnelConnected, TunnelDisconnected } from '@instatunnel/proto/events/v1/events'

// While NATS is away events gather here; past so many the oldest are dropped, as the relay stores nothing.
const MAX_WAITING = 10_000
const RETRY_MS = 500

/** What the events tell of a connection. */
export interface ToldConnection {
  readonly connectionId: string
  readonly tunnelId: string
  readonly userId: string
  readonly credential: { readonly type: string; readonly id: string }
}

/** Tells that agents come and go. */
export interface ConnectionTeller {
  connected(connection: ToldConnection): void
  disconnected(connection: ToldConnection, reason: string): void
  /** Tells what is left and stops; 1 s at most. */
  close(): Promise<void>
}

interface Waiting {
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly time: Date
  readonly data: object
}

/** Publishes `tunnel.connected` and `tunnel.disconnected`, in the order that they happened, again until NATS has them. */
export function tellConnections(options: {
  nats: Nats
  log: Logger
  now: () => Date
  relayId: string
  /** How many events wait at most. */
  maxWaiting?: number
}): ConnectionTeller {
  const { nats, log, now, relayId, maxWaiting = MAX_WAITING } = options
  const waiting: Waiting[] = []
  let telling: Promise<void> | undefined
  let closed = false
  let dropped = 0

  const tell = async () => {
    while (waiting[0]) {
      const next = waiting[0]
      try {
        await publishEvent(nats, 'relay', next)
        waiting.shift()
        dropped = 0
      } catch (error) {
        if (closed) return
        log.warn({ cause: String(error), waiting: waiting.length }, 'connections wait to be told')
        // A NATS that lost its storage has no stream to take them.
        nats.ensureStreams().catch(() => {})
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }
  const start = () => {
    telling ??= tell().finally(() => {
      telling = undefined
      if (waiting.length > 0 && !closed) start()
    })
  }
  const add = (type: string, { tunnelId }: ToldConnection, data: unknown) => {
    if (waiting.length >= maxWaiting) {
      waiting.splice(1, 1) // the first may be on its way
      if (dropped++ % maxWaiting === 0) log.warn({ dropped }, 'connections are not told: too many wait')
    }
    const time = now()
    waiting.push({ id: newId('evt_', time), type, subject: tunnelId, time, data: data as object })
    start()
  }
  const named = ({ tunnelId, userId, connectionId }: ToldConnection) => ({
    tunnelId,
    userId,
    connectionId,
    relayId,
  })

  return {
    connected(connection) {
      const { type: credentialType, id: credentialId } = connection.credential
      const data = { ...named(connection), credentialType, credentialId }
      add('tunnel.connected', connection, TunnelConnected.toJSON(data))
    },
    disconnected(connection, reason) {
      add('tunnel.disconnected', connection, TunnelDisconnected.toJSON({ ...named(connection), reason }))
    },
    async close() {
      closed = true
      await Promise.race([telling, new Promise((resolve) => setTimeout(resolve, 1000).unref())])
    },
  }
}
