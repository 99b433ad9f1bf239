import { AckPolicy, DeliverPolicy, type JsMsg } from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { countLostMessages } from './lost-messages.ts'

// An acknowledgement that was lost with NATS holds up what comes after the event for so long.
const ACK_WAIT_MS = 5000
const RETRY_MS = 500
const LOOK_MS = 5000

/** An event as it was heard. */
export interface HeardEvent {
  readonly id: string
  /** When it happened. */
  readonly time: Date
  /** JSON of the message of instatunnel.events.v1, not yet parsed. */
  readonly data: unknown
}

/**
 * Hears events by a durable consumer, one at a time and in order, for as long as it is not closed. `handle` acts on
 * an event and must be idempotent by its id: an event is heard again until handle has returned. What the stream dropped by
 * its bounds before it was heard is counted, and told in the log as an error.
 */
export function startConsumer(options: {
  nats: Nats
  stream: 'INSTATUNNEL' | 'INSTATUNNEL_USAGE'
  durable: string
  /** What follows `instatunnel.events.`, e.g. "session.revoked". */
  type: string
  handle: (event: HeardEvent) => Promise<void>
  log: Logger
  /** How often it looks for what was lost. */
  lookEveryMs?: number
}): { close(): Promise<void> } {
  const closing = new AbortController()
  const losses = countLostMessages()
  let lostInAll = 0
  let stop = () => {}

  const hear = async () => {
    const { js, jsm } = await options.nats.ready
    const { stream, durable } = options
    const config = {
      filter_subject: `instatunnel.events.${options.type}`,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(ACK_WAIT_MS),
      max_ack_pending: 1,
    }
    // One that another release made otherwise is brought up to date, and goes on where it was.
    await jsm.consumers
      .add(stream, { durable_name: durable, ...config })
      .catch(() => jsm.consumers.update(stream, durable, config))
    const consumer = await js.consumers.get(stream, durable)
    // Where NATS came back without the consumer, it ends rather than to wait for ever, and is made again.
    const messages = await consumer.consume({
      max_messages: 50,
      idle_heartbeat: 1000,
      abort_on_missing_resource: true,
    })
    stop = () => messages.stop()
    if (closing.signal.aborted) stop()
    const sequences = async () => (await jsm.streams.info(stream)).state
    const look = async () => {
      losses.begin()
      const { first_seq: firstSequence } = await sequences()
      const { num_pending: waiting } = await jsm.consumers.info(stream, durable)
      const { last_seq: lastSequence } = await sequences()
      const lost = losses.look({ waiting, firstSequence, lastSequence })
      if (lost === 0) return
      lostInAll += lost
      options.log.error(
        { durable, stream, lost, lostInAll },
        'events left the stream before they were handled',
      )
    }
    // Where NATS does not answer, the next look tells.
    const timer = setInterval(() => void look().catch(() => {}), options.lookEveryMs ?? LOOK_MS)
    try {
      for await (const message of messages) await act(message)
    } finally {
      clearInterval(timer)
    }
  }

  const act = async (message: JsMsg) => {
    if (!message.redelivered) losses.given(message.seq)
    const event = heardFrom(message)
    if (!event) {
      // Heard again, it would be no more readable, and hold up all that come after it.
      options.log.error({ durable: options.durable, sequence: message.seq }, 'an event that is no JSON')
      return message.term()
    }
    try {
      await options.handle(event)
      message.ack()
    } catch (error) {
      options.log.warn({ cause: String(error), durable: options.durable }, 'an event will be heard again')
      message.nak(RETRY_MS)
    }
  }

  const run = async () => {
    while (!closing.signal.aborted) {
      await hear().catch((error) =>
        options.log.warn({ cause: String(error), durable: options.durable }, 'listening again'),
      )
      if (!closing.signal.aborted) await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
  let running: Promise<void> | undefined
  options.nats.ready.then(
    () => {
      running = run()
    },
    () => {},
  )

  return {
    async close() {
      closing.abort()
      stop()
      // Where NATS never came, nothing is under way.
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 2000).unref())])
    },
  }
}

/** Reads a message; undefined where its body is no JSON. */
function heardFrom(message: JsMsg): HeardEvent | undefined {
  const { headers, info, seq } = message
  try {
    return {
      id: headers?.get('ce-id') || `${info.stream}:${seq}`,
      time: new Date(headers?.get('ce-time') || info.timestampNanos / 1_000_000),
      data: message.json(),
    }
  } catch {
    return undefined
  }
}
