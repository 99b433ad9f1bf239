import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { createBeacon, type OpenBucket } from './relay-beacon.ts'
import { type Every, every } from './relay-routes.ts'
import { type Route, replaces, routeKey } from './route.ts'
import { putRoute, withdrawRoute } from './route-entry.ts'

const TICK_MS = 100
const REFRESH_MS = 10_000
// The bucket forgets a route after so long: there is nothing left to withdraw.
const FORGOTTEN_MS = 30_000
// Who announces or withdraws waits so long for NATS; then it is done in the background.
const PATIENCE_MS = 500
const CLOSE_MS = 1000
// So many answers of NATS may be outstanding.
const AT_ONCE = 128

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

interface Held {
  readonly route: Route
  readonly told: PromiseWithResolvers<Announced>
  answer?: Announced
  revision: number
  putAt: number
}

interface Leaving {
  readonly route: Route
  revision: number
  readonly until: number
  readonly done: PromiseWithResolvers<void>
}

/** Announces this relay and its routes, again and again for as long as it is not closed. */
export function announceRoutes(options: {
  nats: Nats
  log: Logger
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
  /** All that is announced; what was put longest ago comes first. */
  const held = new Map<string, Held>()
  /** Those of them that are to be put now. */
  const unput = new Set<Held>()
  const leaving = new Set<Leaving>()
  let working = 0
  let tickedAt = now()
  let closed = false

  const beacon = createBeacon({
    nats,
    log,
    now,
    relayId,
    peerAddress,
    opened(isNew) {
      if (isNew) {
        // In another bucket a number that we remember may be another's entry.
        for (const gone of leaving) gone.revision = 0
        for (const mine of held.values()) {
          mine.revision = 0
          unput.add(mine)
        }
      }
      work()
    },
  })

  const isHeld = (mine: Held) => held.get(routeKey(mine.route)) === mine
  const answer = (mine: Held, what: Announced) => {
    if (mine.answer === 'current' && what === 'superseded') onSuperseded?.(mine.route)
    mine.answer = what
    mine.told.resolve(what)
  }
  const drop = (mine: Held) => {
    if (isHeld(mine)) held.delete(routeKey(mine.route))
    unput.delete(mine)
  }

  const put = async (mine: Held, { kv }: OpenBucket) => {
    const { route, revision } = mine
    const done = await putRoute(kv, { route, revision, isWanted: () => isHeld(mine) })
    if (done.outcome === 'dropped') return
    if (done.outcome === 'current') mine.revision = done.revision
    else drop(mine)
    answer(mine, done.outcome)
  }
  const takeOut = async (gone: Leaving, bucket: OpenBucket) => {
    await withdrawRoute(bucket, gone)
    gone.done.resolve()
  }
  /** Begins what is to be done next; undefined where that is nothing, or would be in vain. */
  const begin = (): Promise<void> | undefined => {
    const bucket = beacon.bucket()
    if (!bucket) return undefined
    for (const gone of leaving) {
      leaving.delete(gone)
      return takeOut(gone, bucket).catch((error) => {
        leaving.add(gone)
        beacon.doubt(error)
      })
    }
    for (const mine of unput) {
      unput.delete(mine)
      return put(mine, bucket).catch((error) => {
        if (isHeld(mine)) unput.add(mine)
        beacon.doubt(error)
      })
    }
    return undefined
  }
  const work = () => {
    while (working < AT_ONCE) {
      const begun = begin()
      if (!begun) return
      working++
      begun.finally(() => {
        working--
        work()
      })
    }
  }

  /** Has put again what was put 10 s ago: of very many at once, so many that all have their turn within 10 s. */
  const refresh = (at: number, elapsedMs: number) => {
    let left = Math.ceil((held.size * elapsedMs) / REFRESH_MS)
    for (const [key, mine] of held) {
      if (left-- <= 0 || mine.putAt > at - REFRESH_MS) return
      mine.putAt = at
      held.delete(key)
      held.set(key, mine)
      unput.add(mine)
    }
  }
  const tick = () => {
    const at = now()
    for (const gone of leaving) if (gone.until < at) leaving.delete(gone)
    beacon.tick()
    if (beacon.bucket()) refresh(at, at - tickedAt)
    tickedAt = at
    work()
  }
  const leave = (route: Route, revision: number) => {
    const gone = { route, revision, until: now() + FORGOTTEN_MS, done: Promise.withResolvers<void>() }
    leaving.add(gone)
    return gone.done.promise
  }
  const stopTicking = (options.every ?? every)(TICK_MS, tick)

  return {
    announce(route) {
      if (closed) return Promise.resolve('current')
      const before = held.get(routeKey(route))
      if (before && replaces(before.route, route)) return Promise.resolve('superseded')
      const revision = before?.revision ?? 0
      const mine: Held = { route, told: Promise.withResolvers(), revision, putAt: now() }
      if (before) {
        drop(before)
        if (replaces(route, before.route)) answer(before, 'superseded')
      }
      held.set(routeKey(route), mine)
      unput.add(mine)
      work()
      const timer = setTimeout(() => answer(mine, mine.answer ?? 'current'), PATIENCE_MS)
      return mine.told.promise.finally(() => clearTimeout(timer))
    },
    async withdraw(route) {
      const mine = held.get(routeKey(route))
      // Another connection of the agent to this very relay has taken its place.
      if (mine && mine.route.connectionId !== route.connectionId) return
      if (mine) {
        drop(mine)
        answer(mine, mine.answer ?? 'current')
      }
      const left = leave(route, mine?.revision ?? 0)
      work()
      await atMost(PATIENCE_MS, left)
    },
    async close() {
      if (closed) return
      closed = true
      stopTicking()
      const isThere = beacon.bucket() !== undefined
      const all = [beacon.end(), ...[...held.values()].map(({ route, revision }) => leave(route, revision))]
      held.clear()
      unput.clear()
      work()
      if (isThere) await atMost(CLOSE_MS, Promise.all(all))
      leaving.clear()
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
