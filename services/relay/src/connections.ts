import type { ConnectCredential } from '@instatunnel/kit/connect'
import type { GoawayReason } from '@instatunnel/kit/goaway'
import type { Link, LinkStream, StreamSink } from '@instatunnel/kit/link'
import type { Logger } from '@instatunnel/kit/log'

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
}

/** The agents that are connected to this relay. */
export interface Connections {
  /** The connection of a subdomain, or of a tunnel, that has the least to do; undefined where there is none. */
  leastBusy(subdomainOrTunnelId: string): Connection | undefined
  /** Connections that a tunnel has here. */
  ofTunnel(tunnelId: string): readonly Connection[]
  /** Takes a connection into service; one that the same agent had before is replaced. */
  add(connection: Connection): void
  /** The connection that the same agent has here. */
  ofAgent(tunnelId: string, agent: string): Connection | undefined
  /** Ends connections at once, with what is in flight; tells how many. */
  cut(matches: (connection: Connection) => boolean, reason: GoawayReason): number
  /** Takes connections out of service; what is in flight may finish, for 30 s at most. */
  retire(matches: (connection: Connection) => boolean, reason: GoawayReason): void
  /** The link of a connection is over. */
  lost(connection: Connection, end: string): void
  all(): Iterable<Connection>
  /** How many live, those that finish included. */
  readonly size: number
  /** Resolves when none lives any more. */
  empty(): Promise<void>
  close(): void
}

const RETIRED_MS = 30_000
const LOOK_MS = 200

/** Keeps the agents' connections. */
export function createConnections({ log, now, onUp, onDown, maxStreams }: ConnectionsOptions): Connections {
  /** By subdomain and by tunnel id: an id is no subdomain, as it holds an underscore. */
  const groups = new Map<string, Connection[]>()
  const inService = new Set<Connection>()
  const retired = new Map<Connection, { reason: GoawayReason; until: number }>()
  const waiting = new Set<() => void>()

  const group = (name: string, change: (list: Connection[]) => Connection[]) => {
    const changed = change(groups.get(name) ?? [])
    if (changed.length === 0) groups.delete(name)
    else groups.set(name, changed)
  }
  const takeOut = (connection: Connection, reason: string): boolean => {
    if (!inService.delete(connection)) return false
    const others = (list: Connection[]) => list.filter((each) => each !== connection)
    group(connection.subdomain, others)
    group(connection.tunnelId, others)
    const { connectionId, tunnelId } = connection
    log.info({ connectionId, tunnelId, reason }, 'agent disconnected')
    onDown(connection, reason)
    return true
  }
  const settle = () => {
    if (inService.size + retired.size > 0) return
    for (const resolve of waiting) resolve()
    waiting.clear()
  }
  const looking = setInterval(() => {
    for (const [connection, { reason, until }] of retired) {
      if (connection.link.size === 0 || now().getTime() >= until) connection.link.close(reason)
    }
  }, LOOK_MS)

  return {
    leastBusy(name) {
      const list = groups.get(name)
      if (list === undefined) return undefined
      let best: Connection | undefined
      for (const each of list) if (best === undefined || each.link.size < best.link.size) best = each
      return best !== undefined && best.link.size >= maxStreams ? undefined : best
    },
    ofTunnel: (tunnelId) => groups.get(tunnelId) ?? [],
    ofAgent: (tunnelId, agent) => groups.get(tunnelId)?.find((each) => each.agent === agent),
    add(connection) {
      const before = this.ofAgent(connection.tunnelId, connection.agent)
      if (before) this.cut((each) => each === before, 'replaced')
      inService.add(connection)
      group(connection.subdomain, (list) => [...list, connection])
      group(connection.tunnelId, (list) => [...list, connection])
      const { connectionId, tunnelId, credential, generation } = connection
      log.info({ connectionId, tunnelId, credential: credential.id, generation }, 'agent connected')
      onUp(connection)
    },
    cut(matches, reason) {
      const found = [...inService, ...retired.keys()].filter(matches)
      for (const connection of found) {
        takeOut(connection, reason)
        connection.link.close(reason)
      }
      return found.length
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
      settle()
    },
    all: () => inService,
    get size() {
      return inService.size + retired.size
    },
    async empty() {
      if (inService.size + retired.size === 0) return
      await new Promise<void>((resolve) => waiting.add(resolve))
    },
    close: () => clearInterval(looking),
  }
}
