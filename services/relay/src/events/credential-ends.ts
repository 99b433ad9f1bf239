import type { GoawayReason } from '@instatunnel/kit/goaway'
import { hearStream, type JsMsg } from '@instatunnel/kit/hearing'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { z } from 'zod'

const EVENTS = 'instatunnel.events.'
// Who was let through a moment before this relay heard anything may come here yet.
const BEFORE_MS = 120_000
// Clocks of a cluster of NATS servers agree within this.
const OVERLAP_MS = 5000
const MAX_REMEMBERED = 1000

/** A credential that connections are admitted with. Of a tunnel's token the id is the tunnel's. */
export interface EndedCredential {
  readonly type: 'api_key' | 'session' | 'tunnel_token'
  readonly id: string
}

/** What was heard of that ends connections, or may. */
export type CredentialEnd =
  /** Of a tunnel's token, the one that it had before. */
  | { readonly kind: 'ended'; readonly credential: EndedCredential; readonly reason: GoawayReason }
  | { readonly kind: 'tunnel_deleted'; readonly tunnelId: string }
  | { readonly kind: 'tunnel_renamed'; readonly tunnelId: string; readonly subdomain: string }
  /** How long its local server may take to answer is otherwise: so many seconds, undefined for the platform's. */
  | {
      readonly kind: 'tunnel_limited'
      readonly tunnelId: string
      readonly responseTimeout: number | undefined
    }
  /** Something about the key, or about the user, is otherwise: auth knows what that means. */
  | { readonly kind: 'recheck'; readonly keyId?: string; readonly userId?: string }

/**
 * Hears what ends credentials, each kind of event in order, from two minutes before it started on; nothing is missed while NATS is away,
 * and nothing heard twice. `at` is when it happened.
 */
export function hearCredentialEnds(options: {
  nats: Nats
  log: Logger
  now: () => Date
  handle: (end: CredentialEnd, at: Date) => void
}): { close(): void } {
  const { nats, log, now, handle } = options
  const began = now().getTime() - BEFORE_MS
  const subjects = Object.keys(readers).map((type) => EVENTS + type)
  // Each subject is heard by itself: how far one has come says nothing of another.
  const progress = new Map(subjects.map((subject) => [subject, createProgress(began)]))
  return hearStream({
    nats,
    log,
    stream: 'INSTATUNNEL',
    async begin() {
      await nats.ensureStreams()
      return {
        subjects,
        since: (subject) => new Date((progress.get(subject)?.until() ?? began) - OVERLAP_MS),
      }
    },
    message(message) {
      if (!progress.get(message.subject)?.isFirstTime(message)) return
      const end = readers[message.subject.slice(EVENTS.length)]?.(message.json())
      const at = message.headers?.get('ce-time') || message.info.timestampNanos / 1_000_000
      if (end) handle(end, new Date(at))
    },
  })
}

/** How far one subject was heard, by the clock of NATS: a stream that was lost counts from 1 again. */
function createProgress(began: number) {
  let heardUntil = began
  const heard = new Map<string, number>()
  return {
    until: () => heardUntil,
    isFirstTime(message: JsMsg) {
      const at = message.info.timestampNanos / 1_000_000
      const id = message.headers?.get('ce-id') || `${message.seq} ${at}`
      if (heard.has(id)) return false
      heard.set(id, at)
      heardUntil = Math.max(heardUntil, at)
      for (const [old, oldAt] of heard) {
        if (heard.size <= MAX_REMEMBERED || oldAt >= heardUntil - 2 * OVERLAP_MS) break
        heard.delete(old)
      }
      return true
    },
  }
}

const tunnel = z.object({ tunnel_id: z.string() })
const updated = tunnel.extend({
  subdomain: z.string(),
  changed: z.array(z.string()).default([]),
  response_timeout: z.number().optional(),
})
const key = z.object({ key_id: z.string() })
const session = z.object({ session_id: z.string(), reason: z.string().default('') })
const user = z.object({ user_id: z.string() })

const ended = (type: EndedCredential['type'], id: string, reason: GoawayReason): CredentialEnd => ({
  kind: 'ended',
  credential: { type, id },
  reason,
})

/** What each event means for connections; undefined where it means nothing. */
const readers: Readonly<Record<string, (data: unknown) => CredentialEnd | undefined>> = {
  'user.updated': (data) => ({ kind: 'recheck', userId: user.parse(data).user_id }),
  'session.revoked': (data) => {
    const { session_id, reason } = session.parse(data)
    return ended('session', session_id, reason === 'suspended' ? 'account_suspended' : 'session_ended')
  },
  'key.updated': (data) => ({ kind: 'recheck', keyId: key.parse(data).key_id }),
  'key.rotated': (data) => ({ kind: 'recheck', keyId: key.parse(data).key_id }),
  'key.revoked': (data) => ended('api_key', key.parse(data).key_id, 'key_revoked'),
  'tunnel.deleted': (data) => ({ kind: 'tunnel_deleted', tunnelId: tunnel.parse(data).tunnel_id }),
  'tunnel.updated': (data) => {
    const { tunnel_id: tunnelId, subdomain, changed, response_timeout: responseTimeout } = updated.parse(data)
    // Agents that connect anew learn of the rest, too.
    if (changed.includes('subdomain')) return { kind: 'tunnel_renamed', tunnelId, subdomain }
    if (changed.includes('response_timeout')) return { kind: 'tunnel_limited', tunnelId, responseTimeout }
    return undefined
  },
  'tunnel.token_regenerated': (data) =>
    ended('tunnel_token', tunnel.parse(data).tunnel_id, 'token_regenerated'),
}
