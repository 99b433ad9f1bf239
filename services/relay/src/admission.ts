import type { IncomingMessage } from 'node:http'
import { CONNECT_HEADER, type ConnectGrant, type VerifyConnect } from '@instatunnel/kit/connect'
import {
  AGENT_HEADER,
  CONNECT_UPGRADE,
  GENERATION_HEADER,
  parseConnectPath,
} from '@instatunnel/kit/connect-request'
import { goaways } from '@instatunnel/kit/goaway'
import { newId, type Random } from '@instatunnel/kit/id'
import { Refusal } from '@instatunnel/kit/refusal'
import { type RelayRoutes, replaces } from '@instatunnel/kit/relay-routes'
import type { RouteAnnouncer } from '@instatunnel/kit/route-announcer'
import { validate } from '@instatunnel/kit/validate'
import { z } from 'zod'
import type { Admitted, Connections } from './connections.ts'
import type { EndedCredentials } from './ended-credentials.ts'
import { routeOf } from './presence.ts'

/** What admitting needs. */
export interface AdmissionOptions {
  readonly relayId: string
  readonly verifyConnect: VerifyConnect
  readonly connections: Connections
  readonly announcer: Pick<RouteAnnouncer, 'announce' | 'withdraw'>
  readonly routes: Pick<RelayRoutes, 'routesOf'>
  readonly ended: EndedCredentials
  readonly maxAgentsPerTunnel: number
  readonly isDraining: () => boolean
  readonly now: () => Date
  readonly random: Random
}

/**
 * Admits an agent that auth has let through, or refuses. `connect` puts it into service, at once where it is called:
 * between the last look at what speaks against it and that nothing can happen.
 */
export type Admit = (request: IncomingMessage, connect: (admitted: Admitted) => void) => Promise<void>

const asked = z.object({
  [AGENT_HEADER]: z.string().regex(/^[0-9A-Za-z_-]{16,64}$/, 'must be 16 to 64 of [0-9A-Za-z_-]'),
  [GENERATION_HEADER]: z
    .string('must be a whole number from 1 to 2^53')
    .regex(/^[1-9]\d{0,15}$/, 'must be a whole number from 1 to 2^53')
    .transform(Number)
    .refine(Number.isSafeInteger, 'must be a whole number from 1 to 2^53'),
})

/**
 * An agent's connections count up, and only its newest takes requests: one that is told to be older than what the agent
 * has, here or at another relay, is refused.
 */
export const createAdmission =
  (options: AdmissionOptions): Admit =>
  async (request, connect) => {
    if (options.isDraining()) throw draining()
    const grant = await grantOf(request, options)
    const { [AGENT_HEADER]: agent, [GENERATION_HEADER]: generation } = validate(asked, request.headers)
    const connectionId = newId('conn_', options.now(), options.random)
    const admitted = admittedOf(grant, { connectionId, agent, generation })
    refuseExcess(options, admitted)
    const route = routeOf(admitted, options.relayId)
    if ((await options.announcer.announce(route)) === 'superseded') throw superseded()
    try {
      // What was heard while the agent was on its way here found nothing to cut.
      if (options.ended.since(admitted)) throw decideAgain()
      if (options.routes.routesOf(route.tunnelId).some((other) => replaces(other, route))) throw superseded()
      refuseExcess(options, admitted)
      if (options.isDraining()) throw draining()
      if (request.socket.destroyed) throw gone()
      connect(admitted)
      const limit = options.ended.limitSince(admitted)
      if (limit) options.connections.limit(admitted.tunnelId, limit.responseTimeout)
    } catch (refusal) {
      await options.announcer.withdraw(route)
      throw refusal
    }
  }

const admittedOf = (
  { tunnel, credential, address, userId, mode, issuedAt }: ConnectGrant,
  connection: Pick<Admitted, 'connectionId' | 'agent' | 'generation'>,
): Admitted => ({
  ...connection,
  tunnelId: tunnel.id,
  userId,
  subdomain: tunnel.subdomain,
  tokenGeneration: tunnel.tokenGeneration,
  responseTimeout: tunnel.responseTimeout,
  mode,
  credential,
  address,
  issuedAt,
})

async function grantOf(request: IncomingMessage, { verifyConnect }: AdmissionOptions): Promise<ConnectGrant> {
  const token = request.headers[CONNECT_HEADER]
  const grant = await verifyConnect(typeof token === 'string' ? token : '')
  const target = parseConnectPath(request.url ?? '')
  if (request.headers.upgrade?.toLowerCase() !== CONNECT_UPGRADE) throw notAnUpgrade()
  if (target?.tunnelId !== grant.tunnel.id || target.mode !== grant.mode) throw notAnUpgrade()
  return grant
}

function refuseExcess({ connections, maxAgentsPerTunnel }: AdmissionOptions, admitted: Admitted): void {
  const { tunnelId, agent, generation, subdomain, issuedAt } = admitted
  // Its name has been another tunnel's since it was let through.
  if (connections.at(subdomain).some((each) => each.tunnelId !== tunnelId && each.issuedAt > issuedAt))
    throw decideAgain()
  const before = connections.ofAgent(tunnelId, agent)
  if (before && before.generation >= generation) throw superseded()
  if (!before && connections.ofTunnel(tunnelId).length >= maxAgentsPerTunnel)
    throw tooMany(maxAgentsPerTunnel)
}

const draining = () => new Refusal('DRAINING', goaways.draining.message, { retryAfterSeconds: 1 })
const decideAgain = () =>
  new Refusal('DECIDE_AGAIN', 'What admitted this agent has just changed; try again', {
    retryAfterSeconds: 1,
  })
/** Said to nobody. */
const gone = () => new Refusal('DECIDE_AGAIN', 'The agent has gone')
const superseded = () => new Refusal('SUPERSEDED', 'This agent has a newer connection')
const tooMany = (most: number) =>
  new Refusal('TOO_MANY_AGENTS', `${goaways.too_many_agents.message}: ${most} at one relay`, {
    retryAfterSeconds: 5,
  })
const notAnUpgrade = () =>
  new Refusal('NOT_AN_UPGRADE', `Here agents connect: Upgrade: ${CONNECT_UPGRADE} is needed`)
