import { AckPolicy, type ConsumerInfo, DeliverPolicy, type JsMsg } from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { newId } from './id.ts'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { followPresence, type Presence } from './presence.ts'

export type { JsMsg } from '@nats-io/jetstream'

const RETRY_MS = 250
// A consumer that nobody asks any more is forgotten by NATS.
const FORGOTTEN_MS = 10_000
// What a consumer says of itself when it may not be heard any more.
const AMISS = new Set([
  'heartbeats_missed',
  'consumer_deleted',
  'consumer_not_found',
  'stream_not_found',
  'no_responders',
])

/** Which messages of a stream are heard. */
export interface Heard {
  readonly subjects: string[]
  /** Those that were told since then; undefined for the last one of each subject, and all that follow. */
  readonly since?: Date
}

/** What is to be heard, and what is done with it. */
export interface HearingOptions {
  readonly nats: Nats
  readonly log: Logger
  readonly stream: string
  /** Asked each time that hearing begins anew; may make the stream before. */
  begin(): Promise<Heard>
  begun?(consumer: ConsumerInfo): void
  /** Called with each message, in order. What it throws is logged. */
  message(message: JsMsg): void
  /** All that was there when hearing began has been heard. */
  caughtUp?(): void
  /** Nothing is heard until hearing has begun anew. */
  away?(): void
}

/**
 * Hears a stream by a consumer of this process's own, as long as it is not closed. The client's own ordered consumers go
 * on by sequence numbers, and would be deaf after a stream was lost and made again; this one begins anew whenever
 * something is amiss, and leaves it to `begin` where.
 */
export function hearStream(options: HearingOptions): { close(): void } {
  const { nats, log, stream } = options
  let closed = false
  let stop = () => {}
  let presence: Presence | undefined

  const hear = async ({ js, jsm }: Awaited<Nats['ready']>) => {
    const { subjects, since } = await options.begin()
    const made = await jsm.consumers.add(stream, {
      name: newId('hears_', new Date()),
      // NATS's permissions are for the one way to say it, or for the other.
      ...(subjects.length === 1 ? { filter_subject: subjects[0] } : { filter_subjects: subjects }),
      ...(since
        ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: since.toISOString() }
        : { deliver_policy: DeliverPolicy.LastPerSubject }),
      ack_policy: AckPolicy.None,
      mem_storage: true,
      inactive_threshold: nanos(FORGOTTEN_MS),
    })
    options.begun?.(made)
    let isCaughtUp = false
    let heard = 0
    const caughtUp = () => {
      if (!isCaughtUp) options.caughtUp?.()
      isCaughtUp = true
    }
    const consumer = await js.consumers.get(stream, made.name)
    const messages = await consumer.consume({
      max_messages: 1000,
      idle_heartbeat: 1000,
      abort_on_missing_resource: true,
      callback(message) {
        // One that was lost on its way to us may have been the last word on something.
        if (message.info.deliverySequence !== ++heard) return messages.stop()
        try {
          options.message(message)
        } catch (error) {
          log.error({ err: error, stream, sequence: message.seq }, 'a message that could not be acted on')
        }
        if (message.info.pending === 0) caughtUp()
      },
    })
    stop = () => messages.stop()
    if (closed || !presence?.isThere()) stop()
    if (made.num_pending === 0) caughtUp()
    for await (const { type } of messages.status()) {
      // It comes when there is nothing to tell: what was there at first may have gone meanwhile.
      if (type === 'heartbeat') caughtUp()
      if (AMISS.has(type)) messages.stop()
    }
  }

  const run = async (ready: Awaited<Nats['ready']>) => {
    // What was under way when NATS went is lost, and nothing would tell.
    presence = followPresence(ready.connection, () => stop())
    let said = ''
    while (!closed) {
      await presence.there()
      if (closed) return
      const cause = await hear(ready).then(() => '', String)
      stop = () => {}
      if (closed) return
      options.away?.()
      if (cause && cause !== said) log.warn({ cause, stream }, 'a stream is not heard yet')
      said = cause
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
  nats.ready.then(run, () => {})

  return {
    close() {
      closed = true
      presence?.stop()
      stop()
    },
  }
}
