import type { GoawayReason } from '@instatunnel/kit/goaway'
import { newId } from '@instatunnel/kit/id'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { AckPolicy, DeliverPolicy, type JsMsg } from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { z } from 'zod'

const STREAM = 'INSTATUNNEL'
const SUBJECT = 'instatunnel.events.'
// Who was let through a moment before this relay heard anything may come here yet.
const BEFORE_MS = 120_000
const RETRY_MS = 250
const FORGOTTEN_MS = 10_000
// Clocks of a cluster of NATS servers agree within this.
const OVERLAP_MS = 5000
// What a consumer says of itself when it may not be heard any more.
const AMISS = new Set([
  'heartbeats_missed',
  'consumer_deleted',
  'consumer_not_found',
  'stream_not_found',
  'no_responders',
])

/** What was heard of that ends connections, or may. */
export type CredentialEnd =
  | {
      readonly kind: 'ended'
      /** Of a tunnel's token the id is the tunnel's. */
      readonly credential: { readonly type: 'api_key' | 'session' | 'tunnel_token'; readonly id: string }
      readonly reason: GoawayReason
    }
  | { readonly kind: 'tunnel_deleted'; readonly tunnelId: string }
  | { readonly kind: 'tunnel_renamed'; readonly tunnelId: string; readonly subdomain: string }
  /** Something about the key, or about the user, is otherwise: auth knows what that means. */
  | { readonly kind: 'recheck'; readonly keyId?: string; readonly userId?: string }

/** Hears what ends credentials, from two minutes before it started on, in order, and nothing is lost while NATS is away. */
export function hearCredentialEnds(options: {
  nats: Nats
  log: Logger
  now: () => Date
  handle: (end: CredentialEnd, at: Date) => void
}): { close(): Promise<void> } {
  const { nats, log, now, handle } = options
  let closed = false
  let stop = () => {}
  let heardUntil = now().getTime() - BEFORE_MS

  const act = (message: JsMsg) => {
    const type = message.subject.slice(SUBJECT.length)
    try {
      const end = readers[type]?.(message.json())
      if (end) handle(end, new Date(message.headers?.get('ce-time') || message.info.timestampNanos / 1e6))
    } catch (error) {
      log.error({ err: error, type, sequence: message.seq }, 'an event that could not be acted on')
    }
    heardUntil = Math.max(heardUntil, message.info.timestampNanos / 1e6)
  }
  /** Hears until something is amiss. What was heard before may be heard again: acting on it twice changes nothing. */
  const hear = async () => {
    const { js, jsm } = await nats.ready
    const { name } = await jsm.consumers.add(STREAM, {
      name: newId('ends_', now()),
      filter_subjects: Object.keys(readers).map((type) => SUBJECT + type),
      deliver_policy: DeliverPolicy.StartTime,
      opt_start_time: new Date(heardUntil - OVERLAP_MS).toISOString(),
      ack_policy: AckPolicy.None,
      mem_storage: true,
      inactive_threshold: nanos(FORGOTTEN_MS),
    })
    const consumer = await js.consumers.get(STREAM, name)
    let heard = 0
    const messages = await consumer.consume({
      idle_heartbeat: 1000,
      abort_on_missing_resource: true,
      callback: (message) => {
        // One was lost on its way to us.
        if (message.info.deliverySequence === ++heard) act(message)
        else messages.stop()
      },
    })
    stop = () => messages.stop()
    if (closed) stop()
    for await (const { type } of messages.status()) if (AMISS.has(type)) messages.stop()
  }
  const run = async () => {
    while (!closed) {
      await hear().catch((error) => log.warn({ cause: String(error) }, 'ends of credentials are heard again'))
      if (!closed) await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
  const running = run()
  return {
    async close() {
      closed = true
      stop()
      // Where NATS never came, nothing is under way.
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 500).unref())])
    },
  }
}

const tunnel = z.object({ tunnel_id: z.string(), subdomain: z.string() })
const key = z.object({ key_id: z.string() })
const session = z.object({ session_id: z.string() })
const user = z.object({ user_id: z.string() })

const ended = (
  type: 'api_key' | 'session' | 'tunnel_token',
  id: string,
  reason: GoawayReason,
): CredentialEnd => ({
  kind: 'ended',
  credential: { type, id },
  reason,
})

/** What each event means for connections. */
const readers: Readonly<Record<string, (data: unknown) => CredentialEnd>> = {
  'user.updated': (data) => ({ kind: 'recheck', userId: user.parse(data).user_id }),
  'session.revoked': (data) => ended('session', session.parse(data).session_id, 'session_ended'),
  'key.updated': (data) => ({ kind: 'recheck', keyId: key.parse(data).key_id }),
  'key.revoked': (data) => ended('api_key', key.parse(data).key_id, 'key_revoked'),
  'tunnel.deleted': (data) => ({ kind: 'tunnel_deleted', tunnelId: tunnel.parse(data).tunnel_id }),
  'tunnel.updated': (data) => {
    const { tunnel_id: tunnelId, subdomain } = tunnel.parse(data)
    return { kind: 'tunnel_renamed', tunnelId, subdomain }
  },
  'tunnel.token_regenerated': (data) =>
    ended('tunnel_token', tunnel.pick({ tunnel_id: true }).parse(data).tunnel_id, 'token_regenerated'),
}
