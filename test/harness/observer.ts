import { setTimeout as delay } from 'node:timers/promises'
import { DeliverPolicy, type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { natsUser } from './nats-user.ts'

/** How long `event` waits before it says what it has seen instead. */
const patienceMs = 15_000
/** How long NATS has for one answer, and how soon after that it is asked again: tests stop and start it. */
const requestTimeoutMs = 1000
const retryMs = 50

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
    ...natsUser('observer', url, seed),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  })
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: requestTimeoutMs })
  const events: SeenEvent[] = []
  const waiting = new Set<() => void>()
  const closing = new AbortController()

  /** Reads on from `next`; ends, one way or another, when NATS or the stream is not there. */
  async function read(stream: string, next: number, see: (event: SeenEvent) => void): Promise<void> {
    await manager.streams.info(stream)
    const from = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: next }
    const consumer = await jetstream(connection, { timeout: requestTimeoutMs }).consumers.get(stream, from)
    const messages = await consumer.consume({
      expires: 2 * requestTimeoutMs,
      idle_heartbeat: requestTimeoutMs,
    })
    const stop = () => messages.stop()
    closing.signal.addEventListener('abort', stop)
    for await (const message of messages) see(seenEvent(message))
    closing.signal.removeEventListener('abort', stop)
  }
  async function keepReading(stream: string): Promise<void> {
    let next = 1
    while (!closing.signal.aborted) {
      await read(stream, next, (event) => {
        next = event.sequence + 1
        events.push(event)
        for (const look of waiting) look()
      }).catch(() => delay(retryMs))
    }
  }
  const reading = streams.map(keepReading)

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
