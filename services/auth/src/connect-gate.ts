import type { ConnectCredential } from '@instatunnel/kit/connect'
import { type ConnectMode, parseConnectPath } from '@instatunnel/kit/connect-request'
import type { GoawayReason } from '@instatunnel/kit/goaway'
import { isId } from '@instatunnel/kit/id'
import type { Plan, Plans } from '@instatunnel/kit/plans'
import { rateLimited } from '@instatunnel/kit/rate'
import { invalidFields, Refusal } from '@instatunnel/kit/refusal'
import { type Admission, type Attempt, connectsOnly, type Decision, nothingHere } from './admission.ts'
import { type Credentials, type CredentialsOptions, undefinedWhereNotFound } from './credentials.ts'
import { type ConnectCode, judgeConnect, type TunnelFacts } from './domain/connect-verdict.ts'
import type { Holder } from './domain/holder.ts'
import { pastPlan, withoutMcp } from './domain/plan-limit.ts'
import type { SlidingWindows } from './domain/sliding-window.ts'
import { signConnectToken } from './domain/token.ts'
import type { KeyUsageTeller } from './events/key-usage.ts'

/** A connection between an agent and a relay, as it was admitted. */
export interface Connection {
  readonly tunnelId: string
  readonly credential: Pick<ConnectCredential, 'type' | 'id'>
  /** Of a tunnel's token. */
  readonly tokenGeneration: number
  readonly mode: ConnectMode
}

/** Why a connection must end; or until when it may live on, in Unix seconds, for ever where that is undefined. */
export type Standing = { readonly reason: GoawayReason } | { readonly expiresAt: number | undefined }

/** The one place where agents are admitted. */
export interface ConnectGate {
  /** Decides about an agent's request, by the path with its query. Throws only where it cannot decide. */
  decideConnect(path: string, attempt: Attempt, signal?: AbortSignal): Promise<Decision>
  /** Decides once more about a connection. */
  checkConnection(connection: Connection, signal?: AbortSignal): Promise<Standing>
}

/** What the gate for agents stands on. */
export interface ConnectGateOptions extends Pick<CredentialsOptions, 'tunnels' | 'signingKeys' | 'now'> {
  readonly usage: KeyUsageTeller
  readonly windows: SlidingWindows
  readonly limits: { readonly connect: number; readonly plans: Plans }
}

const NEEDS = { scope: 'tunnels:write', safe: false } as const

const ENDS = {
  CONNECTS_ANOTHER: 'token_regenerated',
  NOT_FOUND: 'tunnel_deleted',
  TOKEN_REPLACED: 'token_regenerated',
  PLAN_WITHOUT_TUNNEL: 'plan_limit',
  PLAN_WITHOUT_MODE: 'plan_limit',
} as const satisfies Record<ConnectCode, GoawayReason>

/** Creates the gate for agents. */
export function createConnectGate(
  credentials: Credentials,
  { admit, refuseInvalid }: Admission,
  { tunnels, signingKeys, usage, windows, limits, now }: ConnectGateOptions,
): ConnectGate {
  const findTunnel = async (tunnelId: string, signal?: AbortSignal): Promise<TunnelFacts | undefined> =>
    isId(tunnelId, 'tun_')
      ? tunnels.lookUpTunnel({ tunnelId }, { signal }).catch(undefinedWhereNotFound)
      : undefined

  const findHolder = async (
    { credential: { type, id }, tokenGeneration }: Connection,
    { userId }: TunnelFacts,
    signal?: AbortSignal,
  ): Promise<Holder | GoawayReason> => {
    if (type !== 'tunnel_token') return credentials.holderById(type, id, signal)
    return (await credentials.holderOfToken({ tunnelId: id, userId, tokenGeneration })) ?? 'tunnel_deleted'
  }

  const refusalOf = (code: ConnectCode, plan: Plan, attempt: Attempt): Refusal => {
    if (code === 'CONNECTS_ANOTHER') return connectsOnly()
    if (code === 'NOT_FOUND') return tunnelNotFound()
    if (code === 'TOKEN_REPLACED') return refuseInvalid(attempt)
    return code === 'PLAN_WITHOUT_MODE' ? withoutMcp(plan, limits.plans) : pastPlan(plan, limits.plans)
  }

  return {
    async decideConnect(path, attempt, signal) {
      const target = parseConnectPath(path)
      if (!target) return { refusal: nothingHere() }
      const holder = await admit(attempt, NEEDS, signal)
      if (holder instanceof Refusal) return { refusal: holder }
      if (target.faults.length > 0) return { refusal: invalidFields(target.faults) }
      const tunnel = await findTunnel(target.tunnelId, signal)
      const claims = judgeConnect(holder, { ...target, tunnel }, limits.plans)
      if (typeof claims === 'string') return { refusal: refusalOf(claims, holder.user.plan, attempt) }
      // Counted last: what is refused spends nothing of the tunnel's.
      const rate = windows.take(`connect:${target.tunnelId}`, limits.connect, now())
      if (!rate.admitted) return { refusal: rateLimited(rate) }
      if (claims.credential.type === 'api_key') usage.used(claims.credential.id, now())
      const { userId } = holder.user
      return { connect: await signConnectToken(userId, claims, signingKeys.signing('identity'), now()), rate }
    },
    async checkConnection(connection, signal) {
      const { tunnelId, mode } = connection
      const tunnel = await findTunnel(tunnelId, signal)
      if (!tunnel) return { reason: 'tunnel_deleted' }
      const holder = await findHolder(connection, tunnel, signal)
      if (typeof holder === 'string') return { reason: holder }
      if (holder.kind === 'user' && !holder.scopes.has(NEEDS.scope)) return { reason: 'scope_lost' }
      const claims = judgeConnect(holder, { tunnelId, tunnel, mode }, limits.plans)
      return typeof claims === 'string'
        ? { reason: ENDS[claims] }
        : { expiresAt: claims.credential.expiresAt }
    },
  }
}

const tunnelNotFound = () => new Refusal('TUNNEL_NOT_FOUND', 'Tunnel not found')
