import { setTimeout } from 'node:timers/promises'
import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream'
import { connect, type NatsConnection, nanos, nkeyAuthenticator } from '@nats-io/transport-node'
import type { Logger } from './log.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const MIB = 1024 * 1024
const REQUEST_MS = 2000
const RETRY_MS = 250

/** The streams that events are kept in. No two streams may share a subject, so usage is not under the first's. */
const STREAMS = [
  {
    name: 'INSTATUNNEL',
    subjects: ['user', 'session', 'key', 'tunnel'].map((noun) => `instatunnel.events.${noun}.>`),
    days: 7,
  },
  { name: 'INSTATUNNEL_USAGE', subjects: ['instatunnel.events.usage.>'], days: 2 },
]

/** A connection to NATS that is kept for ever, whether NATS is there yet or not. */
export interface Nats {
  /** Resolves when NATS has been reached, with both streams in place. */
  readonly ready: Promise<{ connection: NatsConnection; js: JetStreamClient; jsm: JetStreamManager }>
  /** Makes the streams again, where NATS came back without them. */
  ensureStreams(): Promise<void>
  close(): Promise<void>
}

/** Connects in the background: a service starts and accepts writes while NATS is away. */
export function connectNats(options: {
  url: string
  seed?: string | undefined
  name: string
  log: Logger
}): Nats {
  const { log } = options
  const closing = new AbortController()
  const { signal } = closing
  const open = async () => {
    const connection = await untilDone(() => connectOnce(options), {
      signal,
      log,
      told: 'NATS cannot be reached yet',
    })
    if (signal.aborted) await connection.close()
    const js = jetstream(connection, { timeout: REQUEST_MS })
    const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_MS })
    await untilDone(() => ensureStreams(jsm), { signal, log, told: 'streams are not in place yet' })
    return { connection, js, jsm }
  }
  const ready = open()
  ready.catch(() => {}) // it was closed before it was ready; who waits for it hears so
  return {
    ready,
    ensureStreams: async () => ensureStreams((await ready).jsm),
    async close() {
      closing.abort()
      const opened = await Promise.race([ready.catch(() => undefined), setTimeout(100, undefined)])
      await opened?.connection.close()
    },
  }
}

const connectOnce = ({ url, seed, name }: { url: string; seed?: string | undefined; name: string }) =>
  connect({
    servers: url,
    name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY_MS,
    // A server that does not know us may be told of us; until then it is as good as away.
    ignoreAuthErrorAbort: true,
    ...(seed ? { authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) } : {}),
  })

async function ensureStreams(jsm: JetStreamManager): Promise<void> {
  for (const { name, subjects, days } of STREAMS) {
    const config = {
      subjects,
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_age: nanos(days * DAY_MS),
      max_bytes: 256 * MIB,
      // A publisher that was killed between publishing and remembering publishes again: within this, it counts once.
      duplicate_window: nanos(DAY_MS),
    }
    await jsm.streams.add({ name, ...config }).catch(() => jsm.streams.update(name, config))
  }
}

/** Tries until it is done; says what is in the way, once as long as it is the same. */
async function untilDone<T>(
  attempt: () => Promise<T>,
  { signal, log, told }: { signal: AbortSignal; log: Logger; told: string },
): Promise<T> {
  let said = ''
  for (;;) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      const cause = String(error)
      if (cause !== said) log.warn({ cause }, told)
      said = cause
      await setTimeout(RETRY_MS)
    }
  }
}
