import { AckPolicy, DeliverPolicy, type JetStreamClient, type JsMsg, StorageType } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import { nanos } from '@nats-io/transport-node'
import { newId } from './id.ts'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { followPresence, type Presence } from './presence.ts'

/** The bucket that relays keep their routes in. */
export const BUCKET = 'relay_routes'

const STREAM = `KV_${BUCKET}`
/** What a key is part of as a subject. */
export const SUBJECT = `$KV.${BUCKET}.`
const AGE_MS = 30_000
const RETRY_MS = 250
const FORGOTTEN_MS = 10_000

/** The bucket, made where it is not there: whoever comes first makes it, and again where it was deleted. */
export const openBucket = (js: JetStreamClient): Promise<KV> =>
  new Kvm(js).create(BUCKET, { storage: StorageType.Memory, history: 1, ttl: AGE_MS })

/** Who listens to the bucket. */
export interface BucketListener {
  /** An entry as it stands or was put, and how long ago, in milliseconds; undefined where it was withdrawn. */
  entry(key: string, value: Uint8Array | undefined, ageMs: number): void
  /** All entries have been told: from now on it is a change whenever one is. */
  complete(): void
  /** Nothing is heard until `complete` is called again; all entries are told again before that. */
  away(): void
}

/**
 * Listens to the whole bucket for as long as it is not closed. The client's own watch goes on by sequence numbers,
 * and would be deaf after a bucket was lost and made again; this one begins anew whenever something is amiss.
 */
export function listenToBucket(options: { nats: Nats; log: Logger; listener: BucketListener }): {
  close(): void
} {
  const { nats, log, listener } = options
  let closed = false
  let stop = () => {}
  let presence: Presence | undefined

  const hear = async ({ js, jsm }: Awaited<Nats['ready']>) => {
    await openBucket(js)
    const made = await jsm.consumers.add(STREAM, {
      name: newId('routes_', new Date()),
      filter_subject: `${SUBJECT}>`,
      deliver_policy: DeliverPolicy.LastPerSubject,
      ack_policy: AckPolicy.None,
      mem_storage: true,
      inactive_threshold: nanos(FORGOTTEN_MS),
    })
    const askedAt = Date.parse(made.ts ?? '')
    let isComplete = false
    let heard = 0
    const complete = () => {
      if (!isComplete) listener.complete()
      isComplete = true
    }
    const consumer = await js.consumers.get(STREAM, made.name)
    const messages = await consumer.consume({
      max_messages: 1000,
      idle_heartbeat: 1000,
      abort_on_missing_resource: true,
      callback: (message) => {
        // One that got lost on its way to us may have been the last word on its key.
        if (message.info.deliverySequence !== ++heard) return messages.stop()
        const value = isWithdrawal(message) ? undefined : message.data
        const age = isComplete ? 0 : askedAt - message.info.timestampNanos / 1_000_000
        listener.entry(message.subject.slice(SUBJECT.length), value, Math.max(0, age || 0))
        if (message.info.pending === 0) complete()
      },
    })
    stop = () => messages.stop()
    if (closed || !presence?.isThere()) stop()
    if (made.num_pending === 0) complete()
    for await (const { type } of messages.status()) {
      // It comes when there is nothing to tell: what was to be told at first may have been withdrawn meanwhile.
      if (type === 'heartbeat') complete()
      if (AMISS.has(type)) messages.stop()
    }
  }

  const run = async (ready: Awaited<Nats['ready']>) => {
    presence = followPresence(ready.connection, () => stop())
    let said = ''
    while (!closed) {
      await presence.there()
      if (closed) return
      const cause = await hear(ready).then(() => '', String)
      stop = () => {}
      if (closed) return
      listener.away()
      if (cause && cause !== said) log.warn({ cause }, 'routes are not heard yet')
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

/** What a consumer says of itself when it may not be heard any more. */
const AMISS = new Set([
  'heartbeats_missed',
  'consumer_deleted',
  'consumer_not_found',
  'stream_not_found',
  'no_responders',
])

const isWithdrawal = ({ headers }: JsMsg) => ['DEL', 'PURGE'].includes(headers?.get('KV-Operation') ?? '')
