import { JetStreamApiCodes, JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import { headers } from '@nats-io/transport-node'
import { parseRoute, type Route, replaces, routeKey } from './route.ts'
import { SUBJECT } from './route-bucket.ts'

/** What became of a route that was to be put: under which revision it stands, or what is there instead. */
export type Put = { outcome: 'current'; revision: number } | { outcome: 'superseded' | 'dropped' }

/**
 * Puts a route, unless one that replaces it stands there. `revision` is what its entry is thought to have, 0 for none;
 * `isWanted` is asked before each attempt, so that nothing is put that was withdrawn meanwhile.
 */
export async function putRoute(
  kv: KV,
  { route, revision, isWanted }: { route: Route; revision: number; isWanted: () => boolean },
): Promise<Put> {
  const key = routeKey(route)
  const value = JSON.stringify(route)
  let previousSeq = revision
  while (isWanted()) {
    try {
      return { outcome: 'current', revision: await kv.put(key, value, { previousSeq }) }
    } catch (error) {
      if (!isOvertaken(error)) throw error
    }
    const entry = await kv.get(key)
    const other = entry?.operation === 'PUT' ? parseRoute(entry.value) : undefined
    if (other && replaces(other, route)) return { outcome: 'superseded' }
    previousSeq = entry?.revision ?? 0
  }
  return { outcome: 'dropped' }
}

/**
 * Takes a route out, where its entry is still its own connection's. Where there is no entry the word is left all the
 * same: who listens may have heard the route before the bucket was lost.
 */
export async function withdrawRoute(
  { kv, js }: { kv: KV; js: JetStreamClient },
  { route, revision }: { route: Route; revision: number },
): Promise<void> {
  const key = routeKey(route)
  let previous = revision
  for (;;) {
    try {
      return await leaveWord(js, key, previous)
    } catch (error) {
      if (!isOvertaken(error)) throw error
    }
    const entry = await kv.get(key)
    if (entry && entry.operation !== 'PUT') return
    if (entry && parseRoute(entry.value)?.connectionId !== route.connectionId) return
    previous = entry?.revision ?? 0
  }
}

/**
 * Leaves the word that a key is withdrawn, where a revision is given only if its entry has that one, 0 for none. The
 * client's own delete is not bound to there being no entry.
 */
export async function leaveWord(js: JetStreamClient, key: string, revision?: number): Promise<void> {
  const head = headers()
  head.set('KV-Operation', 'DEL')
  const expect = revision === undefined ? {} : { lastSubjectSequence: revision }
  await js.publish(SUBJECT + key, '', { headers: head, expect })
}

/** True where an entry is not the one that was expected. */
export const isOvertaken = (error: unknown): boolean =>
  error instanceof JetStreamApiError &&
  (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
    error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
