import type { JetStreamClient } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { followPresence, type Presence } from './presence.ts'
import { relayKey } from './route.ts'
import { openBucket } from './route-bucket.ts'
import { isOvertaken, leaveWord } from './route-entry.ts'

const BEACON_MS = 2000
const RETRY_MS = 250

/** The bucket, while it can be written to. */
export interface OpenBucket {
  readonly kv: KV
  readonly js: JetStreamClient
}

/** What a relay says of itself, every 2 s; who announces routes learns from it where the bucket is. */
export interface RelayBeacon {
  /** Undefined while NATS is away, and wherever there is a doubt. */
  bucket(): OpenBucket | undefined
  /** Something failed: there is no bucket until the relay could say again that it lives. */
  doubt(error: unknown): void
  tick(): void
  /** Says that the relay is no more. */
  end(): Promise<void>
}

/** `opened` is called when the bucket can be written to; `isNew` where it may not hold what was put before. */
export function createBeacon(options: {
  nats: Nats
  log: Logger
  now: () => number
  relayId: string
  peerAddress: string
  opened: (isNew: boolean) => void
}): RelayBeacon {
  const { nats, log, now, opened } = options
  const key = relayKey(options.relayId)
  const value = JSON.stringify({ peerAddress: options.peerAddress })
  let js: JetStreamClient | undefined
  let presence: Presence | undefined
  let bucket: OpenBucket | undefined
  let revision = 0
  let isNew = true
  let dueAt = 0
  let telling = false
  let ended = false
  let said = ''

  const doubt = (error: unknown) => {
    bucket = undefined
    if (ended) return
    dueAt = now() + RETRY_MS
    const cause = String(error)
    if (cause !== said) log.warn({ cause }, 'routes wait to be announced')
    said = cause
  }
  const tell = async (js: JetStreamClient) => {
    // Where it was deleted, it is made again.
    const kv = bucket?.kv ?? (await openBucket(js, nats.makes))
    try {
      revision = await kv.put(key, value, { previousSeq: revision })
    } catch (error) {
      if (ended || !isOvertaken(error)) throw error
      // No one else writes this key: it is not the bucket that we knew, or all of it was too old.
      isNew = true
      revision = await kv.put(key, value)
    }
    if (ended) return
    const wasClosed = !bucket
    bucket = { kv, js }
    dueAt = now() + BEACON_MS
    said = ''
    if (wasClosed || isNew) opened(isNew)
    isNew = false
  }
  const tick = () => {
    if (!js || telling || ended || !presence?.isThere() || now() < dueAt) return
    telling = true
    tell(js)
      .catch(doubt)
      .finally(() => {
        telling = false
      })
  }
  nats.ready.then(
    (ready) => {
      js = ready.js
      presence = followPresence(ready.connection, (isThere) => {
        bucket = undefined
        isNew = true
        dueAt = 0
        if (isThere) tick()
      })
      tick()
    },
    () => {},
  )

  return {
    bucket: () => bucket,
    doubt,
    tick,
    async end() {
      ended = true
      presence?.stop()
      if (js && presence?.isThere()) await leaveWord(js, key).catch(() => {})
    },
  }
}
