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
  readonly subjects: readonly string[]
  /** Of a subject, what was told since then; undefined for the last one of each subject, and all that follow. */
  readonly since?: (subject: string) => Date
}

/** What is to be heard, and what is done with it. */
export interface HearingOptions {
  readonly nats: Nats
  readonly log: Logger
  readonly stream: string
  /** Asked each time that hearing begins anew; may make the stream before. */
  begin(): Promise<Heard>
  begun?(consumer: ConsumerInfo): void
  /** Called with each message, in order per subject. What it throws is logged. */
  message(message: JsMsg): void
  /** All that was there when hearing began has been heard. */
  caughtUp?(): void
  /** Nothing is heard until hearing has begun anew. */
  away?(): void
}

type Ready = Awaited<Nats['ready']>

/**
 * Hears a stream by consumers of this process's own, as long as it is not closed: one for each subject, as NATS's
 * permissions are for consumers of one. The client's own ordered consumers go on by sequence numbers, and would be deaf
 * after a stream was lost and made again; here all begin anew whenever something is amiss, and `begin` says where.
 */
export function hearStream(options: HearingOptions): { close(): void } {
  const { nats, log, stream } = options
  let closed = false
  let stop = () => {}
  let presence: Presence | undefined

  const hear = async (ready: Ready) => {
    const { subjects, since } = await options.begin()
    const ending = new AbortController()
    stop = () => ending.abort()
    if (closed || !presence?.isThere()) return
    if (since) await tellLost(ready, options, subjects.map(since))
    if (closed || ending.signal.aborted) return
    let behind = subjects.length
    const caughtUp = () => {
      if (--behind === 0) options.caughtUp?.()
    }
    const all = subjects.map((subject) =>
      hearSubject(ready, options, {
        subject,
        since: since?.(subject),
        caughtUp,
        signal: ending.signal,
      }).finally(stop),
    )
    await Promise.allSettled(all)
    await Promise.all(all)
  }

  const run = async (ready: Ready) => {
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

/** Logs an error where the stream has dropped, by its bounds, messages of a time that was to be received from. */
async function tellLost(
  { jsm }: Ready,
  { stream, log }: HearingOptions,
  since: readonly Date[],
): Promise<void> {
  const { first_seq: first, first_ts, messages } = (await jsm.streams.info(stream)).state
  const from = Math.min(...since.map(Number))
  // Of an empty stream the first message's time is year 1; where the first one is number 1, none was dropped.
  if (messages === 0 || first === 1 || from >= Date.parse(first_ts)) return
  const details = { stream, since: new Date(from).toISOString(), first: first_ts }
  log.error(details, 'events left the stream before they were received')
}

/** Hears one subject until something is amiss, or the signal aborts. */
async function hearSubject(
  { js, jsm }: Ready,
  { stream, log, ...options }: HearingOptions,
  heard: { subject: string; since: Date | undefined; caughtUp(): void; signal: AbortSignal },
): Promise<void> {
  const { subject, since, signal } = heard
  const made = await jsm.consumers.add(stream, {
    name: newId('hears_', new Date()),
    filter_subject: subject,
    ...(since
      ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: since.toISOString() }
      : { deliver_policy: DeliverPolicy.LastPerSubject }),
    ack_policy: AckPolicy.None,
    mem_storage: true,
    inactive_threshold: nanos(FORGOTTEN_MS),
  })
  options.begun?.(made)
  let isCaughtUp = false
  let count = 0
  const caughtUp = () => {
    if (!isCaughtUp && !signal.aborted) heard.caughtUp()
    isCaughtUp = true
  }
  const consumer = await js.consumers.get(stream, made.name)
  if (signal.aborted) return
  const messages = await consumer.consume({
    max_messages: 1000,
    idle_heartbeat: 1000,
    abort_on_missing_resource: true,
    callback(message) {
      if (signal.aborted) return
      // One that was lost on its way to us may have been the last word on something.
      if (message.info.deliverySequence !== ++count) return messages.stop()
      try {
        options.message(message)
      } catch (error) {
        log.error({ err: error, stream, sequence: message.seq }, 'a message that could not be acted on')
      }
      if (message.info.pending === 0) caughtUp()
    },
  })
  signal.addEventListener('abort', () => messages.stop(), { once: true })
  if (signal.aborted) messages.stop()
  if (made.num_pending === 0) caughtUp()
  for await (const { type } of messages.status()) {
    // It comes when there is nothing to tell: what was there at first may have gone meanwhile.
    if (type === 'heartbeat') caughtUp()
    if (AMISS.has(type)) messages.stop()
  }
}
