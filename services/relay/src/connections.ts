import type { ConnectCredential } from '@instatunnel/kit/connect'
import type { GoawayReason } from '@instatunnel/kit/goaway'
import type { Link, LinkStream, StreamSink } from '@instatunnel/kit/link'
import type { Logger } from '@instatunnel/kit/log'
import { type Every, every } from '@instatunnel/kit/relay-routes'
import { agentConnection } from './agent-connection.ts'
import type { Origin } from './domain/origin.ts'
import type { SlotRefusal } from './slots.ts'

/** One agent's connection, as it was admitted. */
export interface Admitted {
  /** `conn_` and a time-ordered id. */
  readonly connectionId: string
  readonly tunnelId: string
  readonly userId: string
  readonly subdomain: string
  readonly tokenGeneration: number
  /** The agent's own name for itself, and which of its connections this is. */
  readonly agent: string
  readonly generation: number
  readonly mode: string
  /** How many seconds the tunnel's local server may take to answer; 0 for no limit, undefined for the platform's. */
  readonly responseTimeout?: number | undefined
  readonly credential: ConnectCredential
  /** Where the agent connected from, as the gateway saw it; undefined where that is not known. */
  readonly address?: string | undefined
  /** When auth decided, in Unix seconds. */
  readonly issuedAt: number
}

/** Somewhere that a tunnel's requests can be sent to: an agent, or the relay that has one. */
export interface Carrier {
  /** Opens a stream with a request's head; where it takes none, why the origin gets none, or undefined. */
  open(head: string, end: boolean, sink: StreamSink, origin: Origin): LinkStream | SlotRefusal | undefined
}

/** A connection that is to be taken into service. */
export interface Arrival extends Admitted {
  readonly link: Link
  readonly since: Date
}

/** One agent's connection while it lives. */
export interface Connection extends Arrival, Carrier {
  responseTimeout?: number | undefined
  /** How many requests and WebSockets it works on. */
  readonly taken: number
  /** Why it takes no request of this origin now; undefined where it does. */
  refusal(origin: Origin): SlotRefusal | undefined
  /** Ends an idle request so that one of this origin may come; false where there is none, or where it has its share. */
  makeRoom(origin: Origin): boolean
}

/** What others do when connections come and go. */
export interface ConnectionsOptions {
  readonly log: Logger
  /** Counts on evenly (kit/clock, monotonicNow). */
  readonly now: () => Date
  /** Requests that one agent may have at once. */
  readonly maxRequests: number
  /** WebSockets that one agent may have open at once, beside its requests. */
  readonly maxWebSockets: number
  /** A connection that takes requests from now on. */
  onUp(connection: Connection): void
  /** A connection that takes no more requests, and why. */
  onDown(connection: Connection, reason: string): void
  /** A connection's tunnel has another response timeout. */
  onLimited?(connection: Connection): void
  readonly every?: Every
}

/** The agents that are connected to this relay. */
export interface Connections {
  /** Those that take a subdomain's requests. */
  at(subdomain: string): readonly Connection[]
  /** Those that take a tunnel's requests. */
  ofTunnel(tunnelId: string): readonly Connection[]
  /**
   * Of these the one that has the least to do, by turns, and takes a request of this origin; why none does; undefined
   * where there is none. An idle request of a client that holds more makes room for it.
   */
  leastBusy(these: readonly Connection[], origin: Origin): Connection | SlotRefusal | undefined
  /** Takes a connection into service; one that the same agent had before is replaced. */
  add(arrival: Arrival): Connection
  /** The connection that the same agent has here. */
  ofAgent(tunnelId: string, agent: string): Connection | undefined
  /** Ends connections at once, with what is in flight; tells which they were. */
  cut(matches: (connection: Connection) => boolean, reason: GoawayReason): readonly Connection[]
  /** Takes connections out of service; what is in flight may finish, for 30 s at most. */
  retire(matches: (connection: Connection) => boolean, reason: GoawayReason): void
  /** A tunnel has another response timeout: so many seconds, 0 for no limit, undefined for the platform's. */
  limit(tunnelId: string, responseTimeout: number | undefined): void
  /** The link of a connection is over. */
  lost(connection: Connection, end: string): void
  /** All that live, those that finish included. */
  all(): readonly Connection[]
  /** How many live, those that finish included. */
  readonly size: number
  close(): void
}

const RETIRED_MS = 30_000
const LOOK_MS = 200
const NONE: readonly Connection[] = []

/** Keeps the agents' connections. */
export function createConnections(options: ConnectionsOptions): Connections {
  const { log, now, onUp, onDown } = options
  const subdomains = new Map<string, readonly Connection[]>()
  const tunnels = new Map<string, readonly Connection[]>()
  const inService = new Set<Connection>()
  const retired = new Map<Connection, { reason: GoawayReason; until: number }>()
  let turn = 0

  const takeOut = (connection: Connection, reason: string): boolean => {
    if (!inService.delete(connection)) return false
    leave(subdomains, connection.subdomain, connection)
    leave(tunnels, connection.tunnelId, connection)
    const { connectionId, tunnelId } = connection
    log.info({ connectionId, tunnelId, reason }, 'agent disconnected')
    onDown(connection, reason)
    return true
  }
  const look = () => {
    for (const [connection, { reason, until }] of retired) {
      if (connection.link.size === 0 || now().getTime() >= until) connection.link.close(reason)
    }
  }
  const stopLooking = (options.every ?? every)(LOOK_MS, look)

  return {
    at: (subdomain) => subdomains.get(subdomain) ?? NONE,
    ofTunnel: (tunnelId) => tunnels.get(tunnelId) ?? NONE,
    leastBusy(these, origin) {
      // The turn decides between those that have as little to do.
      turn = (turn + 1) & 0xffff
      let best: Connection | undefined
      let refusal: SlotRefusal | undefined
      for (let i = 0; i < these.length; i++) {
        const each = these[(turn + i) % these.length] as Connection
        const why = each.refusal(origin)
        // Where one has room, but for other clients, that is what this one is told.
        if (why !== undefined) refusal = refusal === 'crowded' ? refusal : why
        else if (best === undefined || each.link.size < best.link.size) best = each
      }
      return best ?? these.find((each) => each.makeRoom(origin)) ?? refusal
    },
    ofAgent: (tunnelId, agent) => tunnels.get(tunnelId)?.find((each) => each.agent === agent),
    add(arrival) {
      const connection = agentConnection(arrival, options)
      const before = this.ofAgent(connection.tunnelId, connection.agent)
      if (before) this.cut((each) => each === before, 'replaced')
      // A name that has changed hands is its new tunnel's alone, heard of or not.
      const { subdomain, tunnelId } = connection
      const hasLost = (each: Connection) => each.subdomain === subdomain && each.tunnelId !== tunnelId
      if (this.at(subdomain).some(hasLost)) this.cut(hasLost, 'tunnel_changed')
      inService.add(connection)
      join(subdomains, connection.subdomain, connection)
      join(tunnels, connection.tunnelId, connection)
      const { connectionId, credential, generation } = connection
      log.info({ connectionId, tunnelId, credential: credential.id, generation }, 'agent connected')
      onUp(connection)
      return connection
    },
    cut(matches, reason) {
      const found = [...inService, ...retired.keys()].filter(matches)
      for (const connection of found) {
        takeOut(connection, reason)
        connection.link.close(reason)
      }
      return found
    },
    retire(matches, reason) {
      for (const connection of [...inService].filter(matches)) {
        retired.set(connection, { reason, until: now().getTime() + RETIRED_MS })
        takeOut(connection, reason)
        connection.link.goaway(reason)
      }
    },
    limit(tunnelId, responseTimeout) {
      for (const connection of this.ofTunnel(tunnelId)) {
        if (connection.responseTimeout === responseTimeout) continue
        connection.responseTimeout = responseTimeout
        options.onLimited?.(connection)
      }
    },
    lost(connection, end) {
      takeOut(connection, end)
      retired.delete(connection)
    },
    all: () => [...inService, ...retired.keys()],
    get size() {
      return inService.size + retired.size
    },
    close: stopLooking,
  }
}

type Groups = Map<string, readonly Connection[]>

const join = (groups: Groups, name: string, connection: Connection) =>
  groups.set(name, [...(groups.get(name) ?? NONE), connection])

function leave(groups: Groups, name: string, connection: Connection): void {
  const others = groups.get(name)?.filter((each) => each !== connection) ?? NONE
  if (others.length === 0) groups.delete(name)
  else groups.set(name, others)
}
