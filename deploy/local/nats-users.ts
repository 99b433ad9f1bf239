import { serviceNames } from './service-names.ts'

/** Who may connect to NATS: every service, and `observer`, with whom tests and people read the streams. */
export const natsUsers = [...serviceNames, 'observer'] as const

export type NatsUser = (typeof natsUsers)[number]

/** The subjects a user may publish to and subscribe to. */
export interface Permissions {
  publish: string[]
  subscribe: string[]
  /** May answer who asks it, wherever that one listens. */
  responds?: boolean
}

const streams = ['INSTATUNNEL', 'INSTATUNNEL_USAGE']

/** The JetStream API needed to read a stream: looking it up, a consumer of one's own, messages and acks. */
const reading = streams.flatMap((stream) => [
  `$JS.API.STREAM.INFO.${stream}`,
  `$JS.API.STREAM.MSG.GET.${stream}`,
  `$JS.API.DIRECT.GET.${stream}`,
  `$JS.API.DIRECT.GET.${stream}.>`,
  `$JS.API.CONSUMER.CREATE.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.INFO.${stream}.>`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.>`,
  `$JS.ACK.${stream}.>`,
  `$JS.FC.${stream}.>`,
])

/** Any service may be the first up, so each may make the streams; one that is there, this leaves as it is. */
const making = streams.map((stream) => `$JS.API.STREAM.CREATE.${stream}`)

/**
 * Auth alone brings the streams up to date after an upgrade. Whoever may do that can also empty one by its bounds, and
 * auth is trusted with every account as it is. No one may purge or delete a stream, or a message in it.
 */
const changing = streams.map((stream) => `$JS.API.STREAM.UPDATE.${stream}`)

const lookingUp = ['$JS.API.INFO', '$JS.API.STREAM.NAMES', '$JS.API.STREAM.LIST']

/** The events that each service tells, as the subjects of design §8, and what else it may say. */
const telling: Record<NatsUser, string[]> = {
  auth: [
    ...['instatunnel.events.user.>', 'instatunnel.events.session.>', 'instatunnel.events.usage.key'],
    ...['here', 'roll', 'evict', 'limits.*'].map((what) => `instatunnel.auth.${what}`),
  ],
  keys: [
    'instatunnel.events.key.>',
    ...['roll', 'evict', 'recall'].map((what) => `instatunnel.auth.${what}`),
  ],
  tunnels: [
    ...['created', 'updated', 'deleted', 'token_regenerated'].map(
      (what) => `instatunnel.events.tunnel.${what}`,
    ),
    'instatunnel.relay.cut',
  ],
  relay: [
    'instatunnel.events.tunnel.connected',
    'instatunnel.events.tunnel.disconnected',
    'instatunnel.events.usage.tunnel',
    '$KV.relay_routes.>',
    '$JS.API.STREAM.MSG.GET.KV_relay_routes',
    '$JS.API.DIRECT.GET.KV_relay_routes.>',
  ],
  observer: [],
}

/** Hearing the relays' routes. The bucket is in memory: whoever comes first makes it, and nobody may change or empty it. */
const hearingRoutes = [
  '$JS.API.STREAM.CREATE.KV_relay_routes',
  '$JS.API.STREAM.INFO.KV_relay_routes',
  '$JS.API.CONSUMER.CREATE.KV_relay_routes.>',
  '$JS.API.CONSUMER.INFO.KV_relay_routes.>',
  '$JS.API.CONSUMER.MSG.NEXT.KV_relay_routes.>',
]

const subscribing: Partial<Record<NatsUser, string[]>> = {
  auth: ['here', 'roll', 'evict', 'recall', 'limits.*'].map((what) => `instatunnel.auth.${what}`),
  keys: ['instatunnel.auth.here'],
  relay: ['instatunnel.relay.cut'],
}

/** What a user may do on NATS. */
export function permissionsOf(user: NatsUser): Permissions {
  const subscribe = ['_INBOX.>', 'instatunnel.events.>', ...(subscribing[user] ?? [])]
  if (user === 'observer') {
    const removing = streams.map((stream) => `$JS.API.CONSUMER.DELETE.${stream}.>`)
    return { publish: [...lookingUp, ...reading, ...removing], subscribe }
  }
  const managing = user === 'auth' ? [...making, ...changing] : making
  const routes = user === 'relay' || user === 'tunnels' ? hearingRoutes : []
  return {
    publish: [...telling[user], ...lookingUp, ...managing, ...reading, ...routes],
    subscribe,
    responds: user === 'relay' || user === 'auth',
  }
}
