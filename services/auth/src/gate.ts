import type { Plans } from '@instatunnel/kit/plans'
import { rateLimited } from '@instatunnel/kit/rate'
import { invalidFields, Refusal } from '@instatunnel/kit/refusal'
import type { Rule, Rules } from '@instatunnel/kit/rules'
import {
  type AdmissionOptions,
  type Attempt,
  connectsOnly,
  createAdmission,
  type Decision,
  nothingHere,
} from './admission.ts'
import { type ConnectGate, createConnectGate } from './connect-gate.ts'
import { type CredentialsOptions, createCredentials } from './credentials.ts'
import { addressSubject } from './domain/client-address.ts'
import { judgeKey, type KeyCode } from './domain/key-verdict.ts'
import type { KeyUsageTeller } from './events/key-usage.ts'
import { createIdentityTokens } from './identity-tokens.ts'

/** The one place where calls are admitted: Check, Authenticate, VerifyKey and CheckConnection all ask it. */
export interface Gate extends ConnectGate {
  /**
   * Decides about a call of an rpc, by its full method, "/instatunnel.keys.v1.ApiKeyService/ListKeys". Throws only where
   * it cannot decide: the database or a neighbour is away.
   */
  decide(method: string, attempt: Attempt, signal?: AbortSignal): Promise<Decision>
  /** Decides about a bearer that reached a service directly: gives an identity token, or throws the refusal. */
  authenticate(bearer: string, method: string, signal?: AbortSignal): Promise<string>
  /** Decides whether a key may be used now with these scopes, and counts the use where it may. */
  verifyKey(digest: Buffer, asked: readonly string[], signal?: AbortSignal): Promise<KeyCode>
}

/** What the gate stands on. */
export interface GateOptions extends CredentialsOptions, AdmissionOptions {
  readonly rules: Rules
  readonly usage: KeyUsageTeller
  /** How many calls a window of a minute admits. */
  readonly limits: {
    readonly auth: number
    readonly read: number
    readonly write: number
    readonly connect: number
    readonly plans: Plans
  }
}

/** Creates the gate. */
export function createGate(options: GateOptions): Gate {
  const { rules, windows, limits, usage, now } = options
  const identityTokenOf = createIdentityTokens(options)
  const credentials = createCredentials(options)
  const admission = createAdmission(credentials, options)

  const admitPublic = ({ limit }: Rule & { kind: 'public' }, { address = '' }: Attempt): Decision => {
    const rate = windows.take(`${limit}:${addressSubject(address)}`, limits[limit], now())
    return rate.admitted ? { rate } : { refusal: rateLimited(rate) }
  }

  const admitUser = async (
    rule: Rule & { kind: 'scope' },
    attempt: Attempt,
    signal?: AbortSignal,
  ): Promise<Decision> => {
    const holder = await admission.admit(attempt, rule, signal)
    if (holder instanceof Refusal) return { refusal: holder }
    if (holder.kind === 'tunnel') return { refusal: connectsOnly() }
    const { userId, plan } = holder.user
    const { readFactor, writeFactor } = limits.plans[plan]
    const limit = Math.floor(limits[rule.limit] * (rule.limit === 'read' ? readFactor : writeFactor))
    const rate = windows.take(`${rule.limit}:${userId}`, limit, now())
    if (!rate.admitted) return { refusal: rateLimited(rate) }
    if (holder.credential.type === 'api_key') usage.used(holder.credential.id, now())
    return { identity: await identityTokenOf(holder), rate }
  }

  const decide: Gate['decide'] = async (method, attempt, signal) => {
    const rule = rules.get(method)
    if (!rule || rule.kind === 'internal') return { refusal: nothingHere() }
    return rule.kind === 'public' ? admitPublic(rule, attempt) : admitUser(rule, attempt, signal)
  }

  return {
    ...createConnectGate(credentials, admission, options),
    decide,
    async authenticate(bearer, method, signal) {
      if (rules.get(method)?.kind !== 'scope') throw notForUsers()
      const { refusal, identity = '' } = await decide(method, { authorization: `Bearer ${bearer}` }, signal)
      if (refusal) throw refusal
      return identity
    },
    async verifyKey(digest, asked, signal) {
      const found = await credentials.findKey(digest, signal)
      if (!found) return 'NOT_FOUND'
      const { code } = judgeKey(found.key, found.owner, asked, now())
      if (code === 'VALID') usage.used(found.key.id, now())
      return code
    },
  }
}

const notForUsers = () => invalidFields([{ field: 'method', message: 'must be an rpc that users call' }])
