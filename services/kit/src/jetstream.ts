import { setTimeout } from 'node:timers/promises'
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream'
import {
  type ConnectionOptions,
  connect,
  createInbox,
  type NatsConnection,
  nanos,
  nkeyAuthenticator,
  PermissionViolationError,
  type TlsOptions,
} from '@nats-io/transport-node'
import type { Logger } from './log.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const MIB = 1024 * 1024
const REQUEST_MS = 2000
const RETRY_MS = 250
// A connection that is dead without a word is given up, and another made, after three of them.
const PING_MS = 2500

/** "stream name already in use with a different configuration" */
const STREAM_IS_OTHERWISE = 10058

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
  /** Makes the streams again, where NATS came back without them; rejects where that is for others to do. */
  ensureStreams(): Promise<void>
  /** Whether it is for us to make what is missing. */
  readonly makes: boolean
  /** A subject of our own for answers: NATS lets nobody else hear it. */
  newInbox(): string
  close(): Promise<void>
}

/** Connects in the background: a service starts and accepts writes while NATS is away. */
export function connectNats(options: {
  /** nats://host:port, or tls://host:port, where TLS is a must; with user:password@ or token@ where NATS asks. */
  url: string
  /** The seed of an nkey; it goes before what the URL says of a user. */
  seed?: string | undefined
  /** Our user's name: NATS has our answers come in under it. */
  name: string
  log: Logger
  /** False for a user who may make no stream, nor any copy of one: it waits until others have. */
  makes?: boolean
}): Nats {
  const { url, seed, name, log, makes = true } = options
  const server: ConnectionOptions = {
    ...serverAt(url),
    ...(seed ? { authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) } : {}),
    name,
    inboxPrefix: `_INBOX.${name}`,
  }
  const leftAsTheyAre = new Set<string>()
  const ensure = async (jsm: JetStreamManager): Promise<void> => {
    if (!makes) {
      await Promise.all(STREAMS.map((stream) => jsm.streams.info(stream.name)))
      return
    }
    await ensureStreams(jsm, (stream) => {
      if (leftAsTheyAre.has(stream)) return
      leftAsTheyAre.add(stream)
      log.warn({ stream }, 'a stream is not as this release makes it, and is left so: another must change it')
    })
  }
  const closing = new AbortController()
  const { signal } = closing
  const open = async () => {
    const connection = await untilDone(() => connectOnce(server), {
      signal,
      log,
      told: 'NATS cannot be reached yet',
    })
    if (signal.aborted) await connection.close()
    const js = jetstream(connection, { timeout: REQUEST_MS })
    const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_MS })
    await untilDone(() => ensure(jsm), { signal, log, told: 'streams are not in place yet' })
    return { connection, js, jsm }
  }
  const ready = open()
  ready.catch(() => {}) // it was closed before it was ready; who waits for it hears so
  return {
    ready,
    makes,
    newInbox: () => createInbox(server.inboxPrefix),
    ensureStreams: async () => ensure((await ready).jsm),
    async close() {
      closing.abort()
      const opened = await Promise.race([ready.catch(() => undefined), setTimeout(100, undefined)])
      await opened?.connection.close()
    },
  }
}

const connectOnce = (server: ConnectionOptions) =>
  connect({
    ...server,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY_MS,
    pingInterval: PING_MS,
    // A server that does not know us may be told of us; until then it is as good as away.
    ignoreAuthErrorAbort: true,
  })

/** What a URL says of a server; the client itself would take no more of it than host and port. Never shows it. */
function serverAt(url: string): ConnectionOptions {
  try {
    const { protocol, host, hostname, username, password } = new URL(url)
    if (!host || !['nats:', 'tls:'].includes(protocol)) throw new Error('of another kind')
    const [name, secret] = [username, password].map(decodeURIComponent) as [string, string]
    return {
      servers: host,
      ...(secret ? { user: name, pass: secret } : name ? { token: name } : {}),
      // The host stands here as well, or the certificate of an address would be compared with "localhost".
      ...(protocol === 'tls:' ? { tls: { host: hostname.replace(/^\[|\]$/g, '') } as TlsOptions } : {}),
    }
  } catch {
    throw new Error('NATS_URL: must be a nats:// or tls:// URL')
  }
}

/** Makes both streams, or brings them up to date; tells of one that NATS does not let us change. */
async function ensureStreams(jsm: JetStreamManager, told: (stream: string) => void): Promise<void> {
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
    try {
      await jsm.streams.add({ name, ...config })
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== STREAM_IS_OTHERWISE) throw error
      await jsm.streams.update(name, config).catch((refusal) => {
        if (!(refusal.cause instanceof PermissionViolationError)) throw refusal
        told(name)
      })
    }
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
