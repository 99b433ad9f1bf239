import { z } from 'zod'

const schema = z.object({
  tunnelId: z.string().min(1),
  userId: z.string(),
  subdomain: z.string().min(1),
  connectionId: z.string().min(1),
  agent: z.string().min(1),
  generation: z.number().int(),
  relayId: z.string().min(1),
  /** When auth decided, in Unix seconds. */
  issuedAt: z.number().optional(),
  /** How many seconds the tunnel's local server may take to answer; 0 for no limit, left out for the platform's. */
  responseTimeout: z.number().optional(),
  credential: z.object({ type: z.enum(['api_key', 'session', 'tunnel_token']), id: z.string() }),
})

/** Where an agent carries a tunnel's traffic: which relay it is connected to, by which connection, and with what. */
export type Route = Readonly<z.infer<typeof schema>>

/** What admitted a route's agent; of a tunnel's token the id is the tunnel's. */
export type RouteCredential = Route['credential']

/** A route whose relay lives. */
export type LiveRoute = Route & {
  /** host:port, where its relay hears the others. */
  readonly peerAddress: string
}

/** A bucket's key of a route: an agent has one connection to a tunnel. */
export const routeKey = ({ tunnelId, agent }: Pick<Route, 'tunnelId' | 'agent'>) =>
  `tunnel.${tunnelId}.${agent}`

/** A bucket's key of a relay. */
export const relayKey = (relayId: string) => `relay.${relayId}`

/** The relay that a key is of; undefined where it is of none. */
export const relayOfKey = (key: string) => /^relay\.(.+)$/.exec(key)?.[1]

/** True where a route's agent was let through later: of two tunnels that say that they have one name, it has. */
export const isNewer = (route: Route, other: Route): boolean => {
  const [one = 0, two = 0] = [route.issuedAt, other.issuedAt]
  return one === two ? route.connectionId > other.connectionId : one > two
}

/** True where a route has taken the other's place: another connection of the same agent, and no older one. */
export const replaces = (route: Route, other: Route): boolean =>
  route.tunnelId === other.tunnelId &&
  route.agent === other.agent &&
  route.connectionId !== other.connectionId &&
  route.generation >= other.generation

/** Reads a route; undefined where it is none. */
export const parseRoute = (bytes: Uint8Array): Route | undefined => parse(schema, bytes)

/** Reads what a relay says of itself; undefined where that is nothing known. */
export const parseRelay = (bytes: Uint8Array) =>
  parse(z.object({ peerAddress: z.string().min(1) }), bytes)?.peerAddress

function parse<T>(kind: z.ZodType<T>, bytes: Uint8Array): T | undefined {
  try {
    return kind.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data
  } catch {
    return undefined
  }
}
