import { serviceNames } from './service-names.ts'

/** Who may connect to NATS: every service, and `observer`, with whom tests and people read the streams. */
export const natsUsers = [...serviceNames, 'observer'] as const

export type NatsUser = (typeof natsUsers)[number]

/** The subjects a user may publish to and subscribe to. */
export interface Permissions {
  publish: string[]
  /** Of those subjects the ones that it may not publish to. */
  denyPublish: string[]
  subscribe: string[]
  /** May answer who asks it, wherever that one listens. */
  responds?: boolean
}

/** A consumer that NATS keeps while its service is away. */
export interface Durable {
  readonly name: string
  readonly stream: EventStream
  /** What follows `instatunnel.events.`. */
  readonly type: string
}

/** What a service does on NATS, by what it does in its code. */
interface Talk {
  /** The events that it tells, by what follows `instatunnel.events.` (design §8). */
  readonly tells: readonly string[]
  /** The events that all of its replicas share, each handled once. */
  readonly durables: readonly Durable[]
  /** The events of the first stream that each of its replicas hears for itself. */
  readonly hears: readonly string[]
  /** What services say to one another, by what follows `instatunnel.`. */
  readonly says: readonly string[]
  readonly listens: readonly string[]
}

const eventStreams = ['INSTATUNNEL', 'INSTATUNNEL_USAGE'] as const
type EventStream = (typeof eventStreams)[number]

/** The one place for who may say and hear what: a user may do what stands here, and nothing else. */
export const talk: Readonly<Record<Exclude<NatsUser, 'observer'>, Talk>> = {
  auth: {
    tells: ['user.>', 'session.>', 'usage.key'],
    durables: [],
    hears: ['key.updated', 'key.revoked', 'key.rotated', 'session.revoked', 'user.logged_in', 'user.updated'],
    says: ['auth.here', 'auth.roll', 'auth.evict', 'auth.limits.*'],
    listens: ['auth.here', 'auth.roll', 'auth.evict', 'auth.recall', 'auth.limits.*'],
  },
  keys: {
    tells: ['key.>'],
    durables: [
      { name: 'keys-session-revoked', stream: 'INSTATUNNEL', type: 'session.revoked' },
      { name: 'keys-usage', stream: 'INSTATUNNEL_USAGE', type: 'usage.key' },
    ],
    hears: [],
    says: ['auth.roll', 'auth.evict', 'auth.recall'],
    listens: ['auth.here'],
  },
  tunnels: {
    tells: ['created', 'updated', 'deleted', 'token_regenerated'].map((what) => `tunnel.${what}`),
    durables: [
      { name: 'tunnels-connected', stream: 'INSTATUNNEL', type: 'tunnel.connected' },
      { name: 'tunnels-usage', stream: 'INSTATUNNEL_USAGE', type: 'usage.tunnel' },
    ],
    hears: [],
    says: ['relay.cut', 'relay.renamed'],
    listens: [],
  },
  relay: {
    tells: ['tunnel.connected', 'tunnel.disconnected', 'usage.tunnel'],
    durables: [],
    hears: [
      // Of accounts it hears that one changed, by its id, and asks auth what that means: nothing of who logs in.
      ...['user.updated', 'session.revoked', 'key.updated', 'key.revoked', 'key.rotated'],
      ...['tunnel.deleted', 'tunnel.updated', 'tunnel.token_regenerated'],
    ],
    says: [],
    listens: ['relay.cut', 'relay.renamed'],
  },
}

const event = (type: string) => `instatunnel.events.${type}`
const durables = Object.values(talk).flatMap((each) => each.durables)

/**
 * Any service but the relay may be the first up, so each may make the streams; one that is there, this leaves as it is.
 * Whoever makes a stream may have it copy another, and so hear that: the relay makes none, not even its bucket.
 */
const making = eventStreams.map((stream) => `$JS.API.STREAM.CREATE.${stream}`)

/**
 * Auth alone brings the streams up to date after an upgrade. Whoever may do that can also empty one by its bounds, and
 * auth is trusted with every account as it is. No one may purge or delete a stream, or a message in it.
 */
const changing = eventStreams.map((stream) => `$JS.API.STREAM.UPDATE.${stream}`)

const lookingUp = ['$JS.API.INFO', ...eventStreams.map((stream) => `$JS.API.STREAM.INFO.${stream}`)]

/**
 * A consumer is made with the one subject that it hears, which NATS compares with what the user may: never with several,
 * or none. Messages of a stream are read by consumers only.
 */
const sharing = ({ name, stream, type }: Durable) => [
  `$JS.API.CONSUMER.CREATE.${stream}.${name}.${event(type)}`,
  `$JS.API.CONSUMER.INFO.${stream}.${name}`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
  `$JS.ACK.${stream}.${name}.>`,
]

/** A replica's own consumers have names that nobody can guess; nobody need acknowledge what they tell. */
const hearing = (types: readonly string[]) =>
  types.length === 0
    ? []
    : [
        ...types.map((type) => `$JS.API.CONSUMER.CREATE.INSTATUNNEL.*.${event(type)}`),
        '$JS.API.CONSUMER.INFO.INSTATUNNEL.*',
        '$JS.API.CONSUMER.MSG.NEXT.INSTATUNNEL.*',
      ]

/** What would read a durable consumer of another's, or change it: its owner would miss what it told. */
const taking = ({ name, stream }: Durable) => [
  `$JS.API.CONSUMER.CREATE.${stream}.${name}.>`,
  `$JS.API.CONSUMER.CREATE.${stream}.${name}`,
  `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.${name}`,
  `$JS.API.CONSUMER.DELETE.${stream}.${name}`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
  `$JS.ACK.${stream}.${name}.>`,
]

const ROUTES = 'KV_relay_routes'

/** Hearing the relays' routes. The bucket is in memory: tunnels makes it, and nobody may change or empty it. */
const makingRoutes = [`$JS.API.STREAM.CREATE.${ROUTES}`]
const hearingRoutes = [
  `$JS.API.STREAM.INFO.${ROUTES}`,
  `$JS.API.CONSUMER.CREATE.${ROUTES}.*.$KV.relay_routes.>`,
  `$JS.API.CONSUMER.INFO.${ROUTES}.*`,
  `$JS.API.CONSUMER.MSG.NEXT.${ROUTES}.*`,
]

const tellingRoutes = ['$KV.relay_routes.>', `$JS.API.DIRECT.GET.${ROUTES}.$KV.relay_routes.>`]

/** People and tests read both streams as they like; but not by the consumers of services. */
const observing = eventStreams.flatMap((stream) => [
  `$JS.API.STREAM.MSG.GET.${stream}`,
  `$JS.API.DIRECT.GET.${stream}`,
  `$JS.API.DIRECT.GET.${stream}.>`,
  `$JS.API.CONSUMER.CREATE.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.*`,
  `$JS.API.CONSUMER.INFO.${stream}.*`,
  `$JS.API.CONSUMER.NAMES.${stream}`,
  `$JS.API.CONSUMER.LIST.${stream}`,
  `$JS.API.CONSUMER.DELETE.${stream}.*`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  `$JS.ACK.${stream}.>`,
  `$JS.FC.${stream}.>`,
])

/** Where answers to a user come in: what others are answered, it cannot hear. */
export const inboxOf = (user: NatsUser) => `_INBOX.${user}`

/** What a user may do on NATS. */
export function permissionsOf(user: NatsUser): Permissions {
  const inbox = `${inboxOf(user)}.>`
  if (user === 'observer')
    return {
      publish: [...lookingUp, '$JS.API.STREAM.NAMES', '$JS.API.STREAM.LIST', ...observing],
      denyPublish: durables.flatMap(taking),
      subscribe: [inbox, event('>')],
    }
  const own = talk[user]
  const says = [...own.tells.map(event), ...own.says.map((what) => `instatunnel.${what}`)]
  return {
    publish: [
      ...says,
      ...lookingUp,
      ...(user === 'relay' ? [] : making),
      ...(user === 'auth' ? changing : []),
      ...own.durables.flatMap(sharing),
      ...hearing(own.hears),
      ...(user === 'relay' ? tellingRoutes : []),
      ...(user === 'tunnels' ? makingRoutes : []),
      ...(user === 'relay' || user === 'tunnels' ? hearingRoutes : []),
    ],
    denyPublish: durables.filter((durable) => !own.durables.includes(durable)).flatMap(taking),
    subscribe: [inbox, ...own.listens.map((what) => `instatunnel.${what}`)],
    responds: user === 'relay' || user === 'auth',
  }
}
