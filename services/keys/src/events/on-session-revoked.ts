import { startConsumer } from '@instatunnel/kit/consumer'
import { isFirstDelivery } from '@instatunnel/kit/event'
import type { Evict } from '@instatunnel/kit/eviction'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { Sql } from '@instatunnel/kit/postgres'
import { SessionRevoked } from '@instatunnel/proto/events/v1/events'
import { z } from 'zod'
import { isSessionId } from '../domain/session-key.ts'
import { tellRevoked } from '../store/outbox.ts'
import { markRevoked } from '../store/revocation-store.ts'
import { holdSession, lockSessionKey, rememberEnded } from '../store/session-key-store.ts'

const REASON = 'session_ended'

/** Revokes the key that belongs to a session that ended, once; where it has none yet, it gets none. */
export const onSessionRevoked = ({
  sql,
  nats,
  log,
  now,
  evict,
}: {
  sql: Sql
  nats: Nats
  log: Logger
  now: () => Date
  evict: Evict
}) =>
  startConsumer({
    nats,
    log,
    stream: 'INSTATUNNEL',
    durable: 'keys-session-revoked',
    type: 'session.revoked',
    handle: async (event) => {
      const { sessionId } = SessionRevoked.fromJSON(z.looseObject({}).catch({}).parse(event.data))
      // What names no session would be heard for ever.
      if (!isSessionId(sessionId)) return
      const time = now()
      const revoked = await sql.begin(async (tx) => {
        if (!(await isFirstDelivery(tx, event.id))) return
        await holdSession(tx, sessionId)
        const key = await lockSessionKey(tx, sessionId)
        if (!key) return void (await rememberEnded(tx, sessionId))
        if (!(await markRevoked(tx, key.id, REASON, time))) return
        await tellRevoked(tx, key, REASON, time)
        return key.id
      })
      if (revoked !== undefined) await evict({ keys: [revoked] })
    },
  })
