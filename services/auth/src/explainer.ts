import type { RestRoute, RestRouteOf } from '@instatunnel/kit/rest-routes'
import type { Rules } from '@instatunnel/kit/rules'
import type { Credentials, CredentialsOptions } from './credentials.ts'
import {
  type Check,
  explainAddress,
  explainEnabled,
  explainExpiry,
  explainKnown,
  explainOwnWindow,
  explainRate,
  explainRemaining,
  explainScope,
  unlimited,
  untoldOfAddress,
  untoldOfTunnel,
} from './domain/explain.ts'
import { explainConnect, findsTunnel } from './domain/explain-connect.ts'
import { explainRoute } from './domain/explain-route.ts'
import { type CountedBy, connectWindow, type GeneralLimits, userWindow } from './domain/general-limit.ts'
import type { KeyUses } from './domain/key-use.ts'
import type { KnownKey } from './domain/known-key.ts'
import type { SlidingWindows } from './domain/sliding-window.ts'
import { createTunnelFinder } from './tunnel-facts.ts'

/** A request as clients of the REST API send it. */
export interface ExplainedRequest {
  readonly method: string
  readonly path: string
  /** The address that it comes from; undefined where none is told. */
  readonly address?: string | undefined
}

/** Tells what the gate would say, and why. */
export interface Explainer {
  /** The checks that a request with the key would meet, in order; undefined where there is no such key. Spends nothing. */
  explainKey(
    keyId: string,
    request: ExplainedRequest,
    signal?: AbortSignal,
  ): Promise<readonly Check[] | undefined>
}

/** What the explainer looks at: what the gate decides by. */
export interface ExplainerOptions extends Pick<CredentialsOptions, 'tunnels' | 'now'> {
  readonly rules: Rules
  readonly routeOf: RestRouteOf
  readonly windows: Pick<SlidingWindows, 'look'>
  readonly uses: Pick<KeyUses, 'look'>
  readonly limits: GeneralLimits
}

const KINDS = { read: 'reading calls', write: 'changing calls' } as const
const UNCOUNTED = {}

/** Creates the explainer. */
export function createExplainer(
  credentials: Pick<Credentials, 'findKeyById'>,
  options: ExplainerOptions,
): Explainer {
  const { rules, routeOf, windows, uses, limits, now } = options
  const findTunnel = createTunnelFinder(options)

  const rateOf = async ({ subject, limit }: CountedBy, of: string): Promise<Check> =>
    explainRate(await windows.look(subject, limit, now()), of)

  const explainConnecting = async (tunnelId: string, key: KnownKey, signal?: AbortSignal) => {
    const connecting = { tunnelId, tunnel: await findTunnel(tunnelId, signal), mode: '' } as const
    return [
      explainConnect(key, connecting, limits.plans),
      findsTunnel(key, connecting, limits.plans)
        ? await rateOf(connectWindow(tunnelId, limits), 'connects of the tunnel')
        : untoldOfTunnel,
    ]
  }

  const explainCall = async (
    { scope, limit }: { scope: string; limit: 'read' | 'write' },
    key: KnownKey,
  ): Promise<Check[]> => [
    explainScope(key, scope),
    key.record.rateLimitEnabled
      ? await rateOf(userWindow(key.owner, limit, limits), KINDS[limit])
      : unlimited,
  ]

  /** What depends on where the request leads. */
  const explainDemands = async (
    route: RestRoute,
    key: KnownKey,
    signal?: AbortSignal,
  ): Promise<readonly Check[]> => {
    if (route.kind === 'connect') return explainConnecting(route.tunnelId, key, signal)
    const rule = route.kind === 'rpc' ? rules.get(route.rpc) : undefined
    return rule?.kind === 'scope' ? explainCall(rule, key) : []
  }

  return {
    async explainKey(keyId, request, signal) {
      const key = await credentials.findKeyById(keyId, signal)
      if (key === 'key_revoked') return undefined
      const { method, path, address } = request
      const route = routeOf(method, path)
      const check = explainRoute(route, request, rules)
      const rule = route.kind === 'rpc' ? rules.get(route.rpc) : undefined
      // Anyone may name any address: what is left to it would tell who calls from there, and when.
      if (rule?.kind === 'public') return [check, untoldOfAddress]
      const known = explainKnown(key, now())
      if (typeof key === 'string' || !known.passed) return [check, known]
      const left = key.record.isMetered ? await uses.look(key, now()) : UNCOUNTED
      return [
        check,
        known,
        explainEnabled(key),
        explainExpiry(key, now()),
        explainAddress(key, address),
        ...(await explainDemands(route, key, signal)),
        explainOwnWindow(key, left),
        explainRemaining(left),
      ]
    },
  }
}
