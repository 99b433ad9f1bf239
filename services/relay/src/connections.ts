import type { ConnectCredential } from '@instatunnel/kit/connect'
import type { GoawayReason } from '@instatunnel/kit/goaway'
import type { Link, LinkStream, StreamSink } from '@instatunnel/kit/link'
import type { Logger } from '@instatunnel/kit/log'
import { type Every, every } from '@instatunnel/kit/relay-routes'

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
  readonly credential: ConnectCredential
  /** Where the agent connected from, as the gateway saw it; undefined where that is not known. */
  readonly address?: string | undefined
  /** When auth decided, in Unix seconds. */
  readonly issuedAt: number
}

/** Somewhere that a tunnel's requests can be sent to: an agent, or the relay that has one. */
export interface Carrier {
  /** Opens a stream with a request's head; undefined where it takes none. */
  open(head: string, end: boolean, sink: StreamSink): LinkStream | undefined
}

/** One agent's connection while it lives. */
export interface Connection extends Admitted, Carrier {
  readonly link: Link
  readonly since: Date
}

/** What others do when connections come and go. */
export interface ConnectionsOptions {
  readonly log: Logger
  readonly now: () => Date
  /** Streams that one agent may have at once. */
  readonly maxStreams: number
  /** A connection that takes requests from now on. */
  onUp(connection: Connection): void
  /** A connection that takes no more requests, and why. */
  onDown(connection: Connection, reason: string): void
  readonly every?: Every
}

/** The agents that are connected to this relay. */
export interface Connections {
  /** Those that take a subdomain's requests. */
  at(subdomain: string): readonly Connection[]
  /** Those that take a tunnel's requests. */
  ofTunnel(tunnelId: string): readonly Connection[]
  /** Of these the one that has the least to do, by turns; undefined where all have as much as they may, or none is. */
  leastBusy(these: readonly Connection[]): Connection | undefined
  /** Takes a connection into service; one that the same agent had before is replaced. */
  add(connection: Connection): void
  /** The connection that the same agent has here. */
  ofAgent(tunnelId: string, agent: string): Connection | undefined
  /** Ends connections at once, with what is in flight; tells which they were. */
  cut(matches: (connection: Connection) => boolean, reason: GoawayReason): readonly Connection[]
  /** Takes connections out of service; what is in flight may finish, for 30 s at most. */
  retire(matches: (connection: Connection) => boolean, reason: GoawayReason): void
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
  const { log, now, onUp, onDown, maxStreams } = options
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
    leastBusy(these) {
      // The turn decides between those that have as little to do.
      turn = (turn + 1) & 0xffff
      let best: Connection | undefined
      for (let i = 0; i < these.length; i++) {
        const each = these[(turn + i) % these.length] as Connection
        if (each.link.isFull || each.link.size >= maxStreams) continue
        if (best === undefined || each.link.size < best.link.size) best = each
      }
      return best
    },
    ofAgent: (tunnelId, agent) => tunnels.get(tunnelId)?.find((each) => each.agent === agent),
    add(connection) {
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
