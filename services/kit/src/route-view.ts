import {
  type LiveRoute,
  parseRelay,
  parseRoute,
  type Route,
  type RouteCredential,
  relayOfKey,
  routeKey,
} from './route.ts'
import { createRouteIndex } from './route-index.ts'

// A relay says so every 2 s: twice it may be missed.
const RELAY_LIVES_MS = 6000
// The bucket's own bound, for what left it without a word.
const ROUTE_LIVES_MS = 30_000

/** Every route that was heard of, by what it is asked for; takes no time of its own. */
export interface RouteView {
  /** Takes an entry in as it was at that time, in milliseconds; false where it is none that we know. */
  hear(key: string, value: Uint8Array, at: number, now: number): boolean
  /** Takes an entry out. */
  forget(key: string): void
  /** Takes out what was silent for too long. */
  sweep(now: number): void
  routesTo(subdomain: string): readonly LiveRoute[]
  routesOf(tunnelId: string): readonly LiveRoute[]
  routesHeldBy(credential: RouteCredential): readonly LiveRoute[]
  liveRelays(): number
}

interface HeardRoute {
  readonly value: Uint8Array
  readonly route: Route
  live: LiveRoute | undefined
  heardAt: number
}

interface HeardRelay {
  readonly value: Uint8Array
  readonly peerAddress: string
  heardAt: number
}

/** `changed` is called after each change of a tunnel's live routes. */
export function createRouteView(changed: (tunnelId: string) => void): RouteView {
  const routes = new Map<string, HeardRoute>()
  const relays = new Map<string, HeardRelay>()
  const keysOfRelays = new Map<string, Set<string>>()
  const subdomains = createRouteIndex(({ subdomain }) => subdomain)
  const tunnels = createRouteIndex(({ tunnelId }) => tunnelId)
  const credentials = createRouteIndex(({ credential }) => nameOf(credential))
  const indexes = [subdomains, tunnels, credentials]

  const live = (heard: HeardRoute) => {
    const relay = relays.get(heard.route.relayId)
    if (!relay) return
    heard.live = { ...heard.route, peerAddress: relay.peerAddress }
    for (const index of indexes) index.add(heard.live)
  }
  const die = (heard: HeardRoute) => {
    if (heard.live) for (const index of indexes) index.remove(heard.live)
    heard.live = undefined
  }
  const takeOut = (key: string): HeardRoute | undefined => {
    const heard = routes.get(key)
    if (!heard) return undefined
    const wasLive = heard.live !== undefined
    die(heard)
    routes.delete(key)
    const keys = keysOfRelays.get(heard.route.relayId)
    keys?.delete(key)
    if (keys?.size === 0) keysOfRelays.delete(heard.route.relayId)
    return wasLive ? heard : undefined
  }

  const hearRoute = (key: string, value: Uint8Array, at: number) => {
    const route = parseRoute(value)
    if (!route || routeKey(route) !== key) return false
    const before = takeOut(key)
    const heard: HeardRoute = { value: new Uint8Array(value), route, live: undefined, heardAt: at }
    routes.set(key, heard)
    const keys = keysOfRelays.get(route.relayId)
    if (keys) keys.add(key)
    else keysOfRelays.set(route.relayId, new Set([key]))
    live(heard)
    if (before || heard.live) changed(route.tunnelId)
    return true
  }
  /** Applies to all routes of a relay; tells of each tunnel once, when all is done. */
  const eachRouteOf = (relayId: string, apply: (heard: HeardRoute) => void) => {
    const touched = new Set<string>()
    for (const key of keysOfRelays.get(relayId) ?? []) {
      const heard = routes.get(key) as HeardRoute
      apply(heard)
      touched.add(heard.route.tunnelId)
    }
    for (const tunnelId of touched) changed(tunnelId)
  }
  const hearRelay = (relayId: string, value: Uint8Array, at: number, now: number) => {
    const peerAddress = parseRelay(value)
    if (peerAddress === undefined) return false
    // It died before we first heard of it, and the bucket has not forgotten it yet.
    if (!relays.has(relayId) && now - at > RELAY_LIVES_MS) return true
    relays.set(relayId, { value: new Uint8Array(value), peerAddress, heardAt: at })
    eachRouteOf(relayId, (heard) => {
      die(heard)
      live(heard)
    })
    return true
  }
  const loseRelay = (relayId: string) => {
    if (relays.delete(relayId)) eachRouteOf(relayId, die)
  }

  return {
    hear(key, value, at, now) {
      const relayId = relayOfKey(key)
      const heard = relayId === undefined ? routes.get(key) : relays.get(relayId)
      // What is put again says nothing new: this is nearly all that is ever heard.
      if (heard && Buffer.compare(heard.value, value) === 0) {
        heard.heardAt = Math.max(heard.heardAt, at)
        return true
      }
      return relayId === undefined ? hearRoute(key, value, at) : hearRelay(relayId, value, at, now)
    },
    forget(key) {
      const relayId = relayOfKey(key)
      if (relayId !== undefined) return loseRelay(relayId)
      const gone = takeOut(key)
      if (gone) changed(gone.route.tunnelId)
    },
    sweep(now) {
      for (const [relayId, { heardAt }] of relays) if (now - heardAt > RELAY_LIVES_MS) loseRelay(relayId)
      for (const [key, { heardAt }] of routes) if (now - heardAt > ROUTE_LIVES_MS) this.forget(key)
    },
    routesTo: (subdomain) => subdomains.get(subdomain),
    routesOf: (tunnelId) => tunnels.get(tunnelId),
    routesHeldBy: (credential) => credentials.get(nameOf(credential)),
    liveRelays: () => relays.size,
  }
}

const nameOf = ({ type, id }: RouteCredential) => `${type} ${id}`
