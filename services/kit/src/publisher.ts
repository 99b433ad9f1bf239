import { headers } from '@nats-io/transport-node'
import { CHANNEL, type Event } from './event.ts'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import type { ISql, Sql } from './postgres.ts'
import { createPublisherHealth, type PublisherHealth } from './publisher-health.ts'

const BATCH = 200
// Notifications wake the publisher; this is for those that got lost with a connection.
const POLL_MS = 500
const RETRY_MS = 250
// A batch is a transaction: Postgres ends one that stands still for 10 s, and an answer of NATS may take 2 s.
const BATCH_MS = 5000

/**
 * Moves the outbox to the stream, at least once and in order per resource, for as long as it is not closed. One of a
 * schema's publishers works at a time: the batch's transaction holds an advisory lock, so that a publisher that dies
 * hands over at once.
 */
export function startPublisher(options: {
  sql: Sql
  schema: string
  nats: Nats
  log: Logger
  /** After how long without an event that NATS took the publisher is unhealthy; 10 s where left out. */
  unhealthyAfterMs?: number
}): { health: PublisherHealth; close(): Promise<void> } {
  const { sql, schema, nats, log, unhealthyAfterMs } = options
  const health = createPublisherHealth({ log, unhealthyAfterMs })
  const closing = new AbortController()
  let wake = () => {}
  const listening = sql.listen(CHANNEL + schema, () => wake()).catch(() => undefined)

  const sleep = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const run = async () => {
    while (!closing.signal.aborted) {
      try {
        const moved = await moveBatch(sql, schema, nats, health)
        if (moved < BATCH && !closing.signal.aborted) await sleep(POLL_MS)
      } catch (error) {
        if (closing.signal.aborted) return
        log.warn({ cause: String(error) }, 'events wait in the outbox')
        await sleep(RETRY_MS)
      }
    }
  }
  // Where NATS was never reached there is nothing to wait for when closing.
  const closed = new Promise<void>((resolve) => closing.signal.addEventListener('abort', () => resolve()))
  const running = Promise.race([nats.ready, closed]).then(run, () => {})

  return {
    health,
    async close() {
      closing.abort()
      wake()
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 3000).unref())])
      await (await listening)?.unlisten().catch(() => {})
    },
  }
}

type Row = Event & { seq: string }

/** Publishes what is due and forgets what the stream has; tells how many rows that were. */
async function moveBatch(sql: Sql, schema: string, nats: Nats, health: PublisherHealth): Promise<number> {
  let failure: unknown
  const moved = await sql.begin(async (tx) => {
    const [lock] = await tx<{ held: boolean }[]>`
      select pg_try_advisory_xact_lock(hashtextextended(${`publish:${schema}`}, 0)) as held`
    if (!lock?.held) return 0
    const rows = await tx<
      Row[]
    >`select seq, id, type, subject, time, data from outbox order by seq limit ${BATCH}`
    if (rows.length === 0) {
      health.succeeded()
      return 0
    }
    const acked: string[] = []
    const until = performance.now() + BATCH_MS
    const perResource = Map.groupBy(rows, (row) => row.subject)
    await Promise.all(
      [...perResource.values()]
        .map(async (events) => {
          for (const event of events) {
            if (performance.now() > until) return
            await publishEvent(nats, schema, event)
            acked.push(event.seq)
          }
        })
        .map((chain) => chain.catch((error) => (failure = error))),
    )
    // One that NATS refuses for what it is says nothing of the others.
    if (acked.length > 0) health.succeeded()
    else health.failed(failure)
    await forget(tx, acked)
    return acked.length
  })
  if (failure === undefined) return moved
  // "no stream" is what a NATS that lost its storage says: make them again before the next try.
  await nats.ensureStreams()
  throw failure
}

const forget = (tx: ISql, seqs: readonly string[]) =>
  tx`delete from outbox where seq = any(${seqs as string[]}::bigint[])`

/** Publishes one event as CloudEvents in NATS's binary mode; the stream takes an id once. */
export async function publishEvent(nats: Nats, service: string, event: Event): Promise<void> {
  const { js } = await nats.ready
  const head = headers()
  head.set('ce-specversion', '1.0')
  head.set('ce-id', event.id)
  head.set('ce-type', `instatunnel.events.${event.type}`)
  head.set('ce-source', `/instatunnel/${service}`)
  head.set('ce-subject', event.subject)
  head.set('ce-time', event.time.toISOString())
  head.set('content-type', 'application/json')
  await js.publish(`instatunnel.events.${event.type}`, JSON.stringify(event.data), {
    msgID: event.id,
    headers: head,
  })
}
