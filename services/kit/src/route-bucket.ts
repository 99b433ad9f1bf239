import { type JetStreamClient, type JsMsg, StorageType } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import { hearStream } from './hearing.ts'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'

const BUCKET = 'relay_routes'
const AGE_MS = 30_000

/** What comes before a key, as a subject. */
export const SUBJECT = `$KV.${BUCKET}.`

/** The bucket of the relays' routes, made where it is not there; rejects then where it is for others to make it. */
export async function openBucket(js: JetStreamClient, makes: boolean): Promise<KV> {
  const buckets = new Kvm(js)
  if (makes) return buckets.create(BUCKET, { storage: StorageType.Memory, history: 1, ttl: AGE_MS })
  const bucket = await buckets.open(BUCKET, { allow_direct: true })
  await bucket.status()
  return bucket
}

/** Who listens to the bucket. */
export interface BucketListener {
  /** An entry as it stands or was put, and how long ago, in milliseconds; undefined where it was withdrawn. */
  entry(key: string, value: Uint8Array | undefined, ageMs: number): void
  /** All entries have been told: from now on it is a change whenever one is. */
  complete(): void
  /** Nothing is heard until `complete` is called again; all entries are told again before that. */
  away(): void
}

/** Listens to the whole bucket for as long as it is not closed. */
export function listenToBucket(options: { nats: Nats; log: Logger; listener: BucketListener }): {
  close(): void
} {
  const { nats, log, listener } = options
  /** By the clock of NATS; undefined when what is heard is heard as it is put. */
  let askedAt: number | undefined
  return hearStream({
    nats,
    log,
    stream: `KV_${BUCKET}`,
    async begin() {
      await openBucket((await nats.ready).js, nats.makes)
      return { subjects: [`${SUBJECT}>`] }
    },
    begun({ ts }) {
      askedAt = ts === undefined ? undefined : Date.parse(ts)
    },
    message(message) {
      const putAt = message.info.timestampNanos / 1_000_000
      const value = isWithdrawal(message) ? undefined : message.data
      listener.entry(message.subject.slice(SUBJECT.length), value, Math.max(0, (askedAt ?? putAt) - putAt))
    },
    caughtUp() {
      askedAt = undefined
      listener.complete()
    },
    away: listener.away,
  })
}

const isWithdrawal = ({ headers }: JsMsg) => ['DEL', 'PURGE'].includes(headers?.get('KV-Operation') ?? '')
