import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { createBeacon, type OpenBucket } from './relay-beacon.ts'
import { type Every, every } from './relay-routes.ts'
import { type Route, replaces, routeKey } from './route.ts'
import { putRoute, withdrawRoute } from './route-entry.ts'
import { type BucketTask, createBucketQueue } from './route-queue.ts'

const TICK_MS = 100
const REFRESH_MS = 10_000
// The bucket forgets a route after so long: there is nothing left to withdraw.
const FORGOTTEN_MS = 30_000
// Who announces or withdraws waits so long for NATS; then it is done in the background.
const PATIENCE_MS = 500
const CLOSE_MS = 1000

/** What became of a route that was announced. */
export type Announced = 'current' | 'superseded'

/** Tells all relays which tunnels this one carries. */
export interface RouteAnnouncer {
  /**
   * Puts a route: "superseded" where a newer connection of the same agent stands there. While NATS is away the answer
   * is "current" after 500 ms at most, and the route is put as soon as it is back.
   */
  announce(route: Route): Promise<Announced>
  /** Takes a route out, where it is still this connection's; takes 500 ms at most. */
  withdraw(route: Route): Promise<void>
  /** Withdraws everything, and this relay; takes 1 s at most. */
  close(): Promise<void>
}

/** A route that is announced, and the task of putting it. */
interface Held extends BucketTask {
  readonly route: Route
  readonly told: PromiseWithResolvers<Announced>
  answer?: Announced
  /** Of its entry; 0 for none. */
  revision: number
  putAt: number
}

/** Announces this relay and its routes, again and again for as long as it is not closed. */
export function announceRoutes(options: {
  nats: Nats
  log: Logger
  /** Counts on evenly (kit/clock, monotonicNow): all is counted from some moment, nothing is a date. */
  now: () => Date
  relayId: string
  /** host:port, where the other relays reach this one. */
  peerAddress: string
  /** Called where a newer connection took a route's place after `announce` had said "current". */
  onSuperseded?: (route: Route) => void
  every?: Every
}): RouteAnnouncer {
  const { nats, log, relayId, peerAddress, onSuperseded } = options
  const now = () => options.now().getTime()
  /** What was put longest ago comes first. */
  const held = new Map<string, Held>()
  /** Counts them, as in another one a revision that we remember may be of another's entry. */
  let buckets = 0
  let tickedAt = now()
  let closed = false
  let gaveUp = false

  const beacon = createBeacon({
    nats,
    log,
    now,
    relayId,
    peerAddress,
    opened(isNew) {
      if (isNew) buckets++
      for (const mine of isNew ? held.values() : []) {
        mine.revision = 0
        queue.add(mine)
      }
      queue.work()
    },
  })
  const queue = createBucketQueue(beacon)

  const answer = (mine: Held, what: Announced) => {
    if (mine.answer === 'current' && what === 'superseded') onSuperseded?.(mine.route)
    mine.answer = what
    mine.told.resolve(what)
  }
  const put = async (mine: Held, { kv }: OpenBucket) => {
    const { route, revision } = mine
    const done = await putRoute(kv, { route, revision, isWanted: mine.isWanted })
    if (done.outcome === 'dropped') return
    if (done.outcome === 'current') mine.revision = done.revision
    else if (mine.isWanted()) held.delete(routeKey(route))
    answer(mine, done.outcome)
  }
  const hold = (route: Route, revision: number): Held => {
    const mine: Held = {
      route,
      revision,
      told: Promise.withResolvers(),
      putAt: now(),
      run: (bucket) => put(mine, bucket),
      isWanted: () => held.get(routeKey(route)) === mine,
    }
    held.set(routeKey(route), mine)
    queue.add(mine)
    return mine
  }
  /** Resolves when a route's entry is gone. */
  const leave = (route: Route, revision: number): Promise<void> => {
    const until = now() + FORGOTTEN_MS
    const done = Promise.withResolvers<void>()
    const known = buckets
    queue.add({
      run: (bucket) =>
        withdrawRoute(bucket, { route, revision: known === buckets ? revision : 0 }).then(done.resolve),
      isWanted: () => !gaveUp && now() < until,
    })
    return done.promise
  }

  /** Has put again what was put 10 s ago: of very many at once, so many that all have their turn within 10 s. */
  const refresh = (at: number, elapsedMs: number) => {
    let left = Math.ceil((held.size * elapsedMs) / REFRESH_MS)
    for (const [key, mine] of held) {
      if (left-- <= 0 || mine.putAt > at - REFRESH_MS) return
      mine.putAt = at
      held.delete(key)
      held.set(key, mine)
      queue.add(mine)
    }
  }
  const tick = () => {
    const at = now()
    beacon.tick()
    if (beacon.bucket()) refresh(at, at - tickedAt)
    else queue.sweep()
    tickedAt = at
  }
  const stopTicking = (options.every ?? every)(TICK_MS, tick)

  return {
    announce(route) {
      if (closed) return Promise.resolve('current')
      const before = held.get(routeKey(route))
      if (before && replaces(before.route, route)) return Promise.resolve('superseded')
      const mine = hold(route, before?.revision ?? 0)
      if (before && replaces(route, before.route)) answer(before, 'superseded')
      const timer = setTimeout(() => answer(mine, mine.answer ?? 'current'), PATIENCE_MS)
      return mine.told.promise.finally(() => clearTimeout(timer))
    },
    async withdraw(route) {
      const mine = held.get(routeKey(route))
      // Another connection of the agent to this very relay has taken its place.
      if (mine && mine.route.connectionId !== route.connectionId) return
      held.delete(routeKey(route))
      if (mine) answer(mine, mine.answer ?? 'current')
      await atMost(PATIENCE_MS, leave(route, mine?.revision ?? 0))
    },
    async close() {
      if (closed) return
      closed = true
      stopTicking()
      const isThere = beacon.bucket() !== undefined
      const all = [...held.values()]
      held.clear()
      const gone = [beacon.end(), ...all.map(({ route, revision }) => leave(route, revision))]
      if (isThere) await atMost(CLOSE_MS, Promise.all(gone))
      gaveUp = true
    },
  }
}

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}
