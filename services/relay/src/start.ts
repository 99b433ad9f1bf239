import { randomBytes } from 'node:crypto'
import { monotonicNow as processNow, watchClock } from '@instatunnel/kit/clock'
import { createConnectVerifier } from '@instatunnel/kit/connect'
import { newId } from '@instatunnel/kit/id'
import type { Logger } from '@instatunnel/kit/log'
import type { Running } from '@instatunnel/kit/main'
import { openNeighbours } from '@instatunnel/kit/neighbours'
import { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { createAdmission } from './admission.ts'
import { readAuthTime } from './auth-time.ts'
import type { Config } from './config.ts'
import { watchCredentials } from './credential-watch.ts'
import { createFind } from './destination.ts'
import { drain } from './drain.ts'
import { createEndedCredentials } from './ended-credentials.ts'
import { hearCredentialEnds } from './events/credential-ends.ts'
import { onCut } from './events/on-cut.ts'
import { onRenamed } from './events/on-renamed.ts'
import { startTunnelUsage } from './events/tunnel-usage.ts'
import { takeAgents } from './http/agent.ts'
import { serveGateway } from './http/gateway-server.ts'
import { createKnownTunnels } from './known-tunnels.ts'
import { createPeers, servePeers } from './peers.ts'
import { openPresence } from './presence.ts'
import { createRenames } from './renames.ts'

// Where NATS or auth is away, agents that connect here can be reached all the same.
const FIRST_VIEW_MS = 2000
// A visitor that has ended its side of a WebSocket gets what still comes of the other for this long at rest.
const LINGER_MS = 30_000

/** Opens, builds and serves the relay. */
export async function start(
  config: Config,
  log: Logger,
  { wallClock, ...given }: { now?: () => Date; wallClock?: () => Date } = {},
): Promise<Running> {
  await using opening = new AsyncDisposableStack()
  const now = () => (given.now ?? clock.now)()
  const monotonicNow = given.now ?? processNow
  const { nats, client, sign, verifyService, transport } = openNeighbours({
    service: 'relay',
    config,
    log,
    closing: opening,
    now,
  })
  const auth = client(AuthorizationServiceService, config.AUTH_ADDRESS, 'auth')
  const clock = opening.adopt(watchClock({ readTime: readAuthTime(auth), log, wallClock }), (watched) =>
    watched.close(),
  )
  const tunnels = client(TunnelDirectoryServiceService, config.TUNNELS_ADDRESS, 'tunnels')
  // Before anything is heard by the time that it happened.
  await within(
    FIRST_VIEW_MS,
    clock.isExact().catch(() => {}),
  )
  const relayId = newId('relay_', now(), randomBytes)
  const tls = transport.files
  let isDraining = false

  const peerPort = opening.adopt(
    await servePeers(config.PEER_LISTEN, { agents: () => connections, verifyService, tls, log }),
    (server) => server.close(),
  )
  const { connections, routes, arrivals, announcer } = openPresence({
    relayId,
    peerAddress: config.PEER_ADDRESS ?? peerPort.address,
    maxRequestsPerAgent: config.MAX_REQUESTS_PER_AGENT,
    maxWebSocketsPerAgent: config.MAX_WEBSOCKETS_PER_AGENT,
    closing: opening,
    nats,
    log,
    now,
    monotonicNow,
  })
  const peers = opening.adopt(createPeers({ sign, tls, log }), (open) => open.close())
  const usage = opening.adopt(startTunnelUsage({ nats, log, now }), (teller) => teller.close())

  const ended = createEndedCredentials(now)
  const known = createKnownTunnels({ tunnels, now: monotonicNow })
  const renamed = createRenames({ connections, routes, arrivals, known, ended })
  const watch = opening.adopt(
    watchCredentials({
      auth,
      connections,
      ended,
      renamed,
      log,
      isHearing: routes.isCurrent,
      now,
      monotonicNow,
    }),
    (open) => open.close(),
  )
  opening.adopt(hearCredentialEnds({ nats, log, now, handle: watch.heard }), (open) => open.close())
  opening.adopt(onCut({ nats, log, relayId, cut: watch.cut }), (open) => open.close())
  opening.adopt(onRenamed({ nats, log, relayId, renamed }), (open) => open.close())

  const verifyConnect = createConnectVerifier({
    listKeys: async () => (await auth.listIdentityKeys({})).keys,
    now,
  })
  const admit = createAdmission({
    relayId,
    verifyConnect,
    connections,
    announcer,
    routes,
    ended,
    maxAgentsPerTunnel: config.MAX_AGENTS_PER_TUNNEL,
    isDraining: () => isDraining,
    now,
    random: randomBytes,
  })
  // Whose agents are elsewhere it must know before it can say of any tunnel that it is offline.
  await within(FIRST_VIEW_MS, routes.ready)
  const find = createFind({ relayId, connections, routes, peers, arrivals, known, meterOf: usage.meter })
  const address = { domain: config.DOMAIN, gateway: config.PUBLIC_URL }
  const server = opening.adopt(
    await serveGateway({
      listen: config.LISTEN,
      tls,
      visits: {
        find,
        domain: config.DOMAIN,
        responseTimeoutMs: config.RESPONSE_TIMEOUT_SECONDS * 1000,
        lingerMs: LINGER_MS,
      },
      isDraining: () => isDraining,
      clock,
      log,
      onAgent: takeAgents({ admit, connections, address, log, now }),
    }),
    (serving) => serving.close(),
  )
  const closing = opening.move()
  return {
    port: server.port,
    async close() {
      isDraining = true
      await drain({
        connections,
        peers,
        visitors: () => server.visitors,
        gateways: () => server.connections,
        now: monotonicNow,
      })
      await closing.disposeAsync()
    },
  }
}

/** Waits for something, for so long at most. */
const within = (ms: number, what: Promise<unknown>) =>
  Promise.race([what, new Promise((resolve) => setTimeout(resolve, ms).unref())])
