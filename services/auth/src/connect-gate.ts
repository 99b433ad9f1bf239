import type { ConnectCredential } from '@instatunnel/kit/connect'
import { type ConnectMode, parseConnectPath } from '@instatunnel/kit/connect-request'
import type { GoawayReason } from '@instatunnel/kit/goaway'
import type { Plan } from '@instatunnel/kit/plans'
import { rateLimited } from '@instatunnel/kit/rate'
import { invalidFields, Refusal } from '@instatunnel/kit/refusal'
import type { Admission, Admitted } from './admission.ts'
import { connectsOnly, nothingHere } from './call-refusals.ts'
import type { Credentials, CredentialsOptions, HeldBy } from './credentials.ts'
import { type ConnectCode, judgeConnect, type TunnelFacts } from './domain/connect-verdict.ts'
import type { Attempt, Decision } from './domain/decision.ts'
import { connectWindow, type GeneralLimits } from './domain/general-limit.ts'
import type { Holder } from './domain/holder.ts'
import { pastPlan, withoutMcp } from './domain/plan-limit.ts'
import type { SlidingWindows } from './domain/sliding-window.ts'
import { signConnectToken } from './domain/token.ts'
import type { KeyGate } from './key-gate.ts'
import { againWhereGone } from './key-gone.ts'
import { answeredTo, unspent } from './key-refusals.ts'
import { createTunnelFinder } from './tunnel-facts.ts'

/** A connection between an agent and a relay, as it was admitted. */
export interface Connection extends HeldBy {
  readonly tunnelId: string
  readonly credential: Pick<ConnectCredential, 'type' | 'id'>
  /** Of a tunnel's token. */
  readonly tokenGeneration: number
  readonly mode: ConnectMode
}

/**
 * Why a connection must end; or until when it may live on, in Unix seconds, for ever where that is undefined, and what
 * ends it then.
 */
export type Standing =
  | { readonly reason: GoawayReason }
  | ({ readonly reason: '' } & Pick<ConnectCredential, 'expiresAt' | 'expiryReason'>)

/** The one place where agents are admitted. */
export interface ConnectGate {
  /** Decides about an agent's request, by the path with its query. Throws only where it cannot decide. */
  decideConnect(path: string, attempt: Attempt, signal?: AbortSignal): Promise<Decision>
  /** Decides once more about a connection, by where it was admitted from; spends nothing. */
  checkConnection(connection: Connection, signal?: AbortSignal): Promise<Standing>
}

/** What the gate for agents stands on. */
export interface ConnectGateOptions extends Pick<CredentialsOptions, 'tunnels' | 'signingKeys' | 'now'> {
  readonly windows: SlidingWindows
  readonly limits: GeneralLimits
}

const NEEDS = { scope: 'tunnels:write', safe: false } as const

const ENDS = {
  CONNECTS_ANOTHER: 'token_regenerated',
  NOT_FOUND: 'tunnel_deleted',
  SUBDOMAIN_NOT_ALLOWED: 'subdomain_not_allowed',
  TOKEN_REPLACED: 'token_regenerated',
  PLAN_WITHOUT_TUNNEL: 'plan_limit',
  PLAN_WITHOUT_MODE: 'plan_limit',
} as const satisfies Record<ConnectCode, GoawayReason>

/** Creates the gate for agents. */
export function createConnectGate(
  credentials: Credentials,
  { admit, refuseInvalid }: Admission,
  { spend }: Pick<KeyGate, 'spend'>,
  options: ConnectGateOptions,
): ConnectGate {
  const { signingKeys, windows, limits, now } = options
  const findTunnel = createTunnelFinder(options)

  const findHolder = async (
    connection: Connection,
    { userId }: TunnelFacts,
    signal?: AbortSignal,
  ): Promise<Holder | GoawayReason> => {
    const { tokenGeneration, credential } = connection
    const { type, id } = credential
    if (type === 'session') return credentials.holderOfSession(id)
    if (type === 'api_key') return credentials.holderOfKey(id, connection, signal)
    return credentials.holderOfToken({ tunnelId: id, userId, tokenGeneration })
  }

  const refuse = async (code: ConnectCode, plan: Plan, attempt: Attempt): Promise<Decision> => {
    if (code === 'CONNECTS_ANOTHER') return { refusal: connectsOnly() }
    if (code === 'TOKEN_REPLACED') return refuseInvalid(attempt)
    if (code === 'PLAN_WITHOUT_MODE') return { refusal: withoutMcp(plan, limits.plans) }
    if (code === 'PLAN_WITHOUT_TUNNEL') return { refusal: pastPlan(plan, limits.plans) }
    return { refusal: tunnelNotFound() }
  }

  const decide = async (
    target: NonNullable<ReturnType<typeof parseConnectPath>>,
    { holder, key }: Admitted,
    attempt: Attempt,
    signal?: AbortSignal,
  ): Promise<Decision> => {
    if (target.faults.length > 0) return { refusal: invalidFields(target.faults) }
    const tunnel = await findTunnel(target.tunnelId, signal)
    const claims = judgeConnect(holder, { ...target, tunnel }, limits.plans)
    if (typeof claims === 'string') return refuse(claims, holder.user.plan, attempt)
    // Counted last: what is refused spends nothing of the tunnel's, nor of the key's.
    const at = now()
    const { subject, limit } = connectWindow(target.tunnelId, limits)
    const rate = await windows.take(subject, limit, at)
    if (!rate.admitted) return { refusal: rateLimited(rate) }
    const taken = key && (await spend(key, at, { undo: () => windows.giveBack(subject, at), signal }))
    if (taken && taken.code !== 'VALID') return unspent(key, taken)
    const told = { ...claims, address: attempt.address }
    return { connect: signConnectToken(holder.user.userId, told, signingKeys.signing('identity'), at), rate }
  }

  return {
    async decideConnect(path, attempt, signal) {
      const target = parseConnectPath(path)
      if (!target) return { refusal: nothingHere() }
      return againWhereGone(async () => {
        const who = await admit(attempt, NEEDS, signal)
        if ('refusal' in who) return who
        return answeredTo(who.key, await decide(target, who, attempt, signal))
      })
    },
    async checkConnection(connection, signal) {
      const { tunnelId, mode } = connection
      const tunnel = await findTunnel(tunnelId, signal)
      if (!tunnel) return { reason: 'tunnel_deleted' }
      const holder = await findHolder(connection, tunnel, signal)
      if (typeof holder === 'string') return { reason: holder }
      if (holder.kind === 'user' && !holder.scopes.has(NEEDS.scope)) return { reason: 'scope_lost' }
      const claims = judgeConnect(holder, { tunnelId, tunnel, mode }, limits.plans)
      if (typeof claims === 'string') return { reason: ENDS[claims] }
      const { expiresAt, expiryReason } = claims.credential
      return { reason: '', expiresAt, expiryReason }
    },
  }
}

const tunnelNotFound = () => new Refusal('TUNNEL_NOT_FOUND', 'Tunnel not found')
