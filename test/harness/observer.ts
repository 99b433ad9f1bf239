import { setTimeout as delay } from 'node:timers/promises'
import { type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, nkeyAuthenticator } from '@nats-io/transport-node'

/** How long `event` waits before it says what it has seen instead. */
const patienceMs = 10_000
/** How often to look whether a stream has been made yet. */
const streamPollMs = 50

/** One event as it lies on a stream: a CloudEvent in NATS binary mode. */
export interface SeenEvent {
  stream: string
  sequence: number
  subject: string
  /** The CloudEvent's id, which is the message's Nats-Msg-Id too. */
  id: string
  type: string
  headers: Record<string, string>
  // biome-ignore lint/suspicious/noExplicitAny: tests assert on whatever the event carries
  data: any
}

/** Reads the streams as any consumer outside could, from their first event on. */
export interface Observer {
  /** Everything seen so far, in the order of each stream. */
  readonly events: readonly SeenEvent[]
  /** The first event, already seen or still to come, that the predicate takes. */
  event(matches: (event: SeenEvent) => boolean): Promise<SeenEvent>
  close(): Promise<void>
}

/** Connects as the `observer` user and reads every stream named, also one that is made only later. */
export async function observe({
  url,
  seed,
  streams = ['INSTATUNNEL', 'INSTATUNNEL_USAGE'],
}: {
  url: string
  seed: string
  streams?: string[]
}): Promise<Observer> {
  const connection = await connect({
    servers: url,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
    maxReconnectAttempts: -1, // tests stop and start NATS under it
    reconnectTimeWait: 100,
  })
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const events: SeenEvent[] = []
  const waiting = new Set<() => void>()
  const closing = new AbortController()

  async function read(stream: string): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await manager.streams.info(stream)
        break
      } catch {
        await delay(streamPollMs, undefined, { signal: closing.signal })
      }
    }
    const consumer = await jetstream(connection).consumers.get(stream, {})
    const messages = await consumer.consume()
    closing.signal.addEventListener('abort', () => messages.stop(), { once: true })
    for await (const message of messages) {
      events.push(seenEvent(message))
      for (const look of waiting) look()
    }
  }
  const reading = streams.map((stream) =>
    read(stream).catch((error) => {
      if (!closing.signal.aborted) throw error
    }),
  )

  return {
    events,
    event: (matches) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = events.find(matches)
          if (!found) return
          waiting.delete(look)
          clearTimeout(timer)
          resolve(found)
        }
        const timer = setTimeout(() => {
          waiting.delete(look)
          reject(
            new Error(`no such event; seen: ${events.map((event) => event.subject).join(', ') || 'none'}`),
          )
        }, patienceMs)
        waiting.add(look)
        look()
      }),
    async close() {
      closing.abort()
      await connection.close()
      await Promise.all(reading)
    },
  }
}

function seenEvent(message: JsMsg): SeenEvent {
  const headers: Record<string, string> = {}
  for (const [name, values] of message.headers ?? []) headers[name.toLowerCase()] = values[0] ?? ''
  return {
    stream: message.info.stream,
    sequence: message.info.streamSequence,
    subject: message.subject,
    id: headers['ce-id'] ?? headers['nats-msg-id'] ?? '',
    type: headers['ce-type'] ?? '',
    headers,
    data: message.data.length ? JSON.parse(message.string()) : undefined,
  }
}
