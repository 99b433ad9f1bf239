import { scopeMissing } from '@instatunnel/kit/guard'
import type { Plans } from '@instatunnel/kit/plans'
import { type Rate, rateLimited } from '@instatunnel/kit/rate'
import { invalidFields, Refusal } from '@instatunnel/kit/refusal'
import type { Rule, Rules } from '@instatunnel/kit/rules'
import { type CredentialsOptions, createCredentials } from './credentials.ts'
import { addressSubject } from './domain/client-address.ts'
import type { SessionCookie } from './domain/cookie.ts'
import { judgeKey, type KeyCode } from './domain/key-verdict.ts'
import { presentedBy } from './domain/presented.ts'
import type { SlidingWindows } from './domain/sliding-window.ts'
import type { KeyUsageTeller } from './events/key-usage.ts'
import { createIdentityTokens } from './identity-tokens.ts'

/** What a decision may depend on: nothing else of a call is looked at. */
export interface Attempt {
  /** The full method, "/instatunnel.keys.v1.ApiKeyService/ListKeys". */
  readonly method: string
  readonly authorization?: string | undefined
  readonly cookie?: string | undefined
  readonly origin?: string | undefined
  readonly fetchSite?: string | undefined
  /** The client's address as the gateway saw it; undefined where another service asks. */
  readonly address?: string | undefined
}

/** What was decided. */
export interface Decision {
  /** The "no", where it is one. */
  readonly refusal?: Refusal
  /** An identity token for the call; undefined where the rpc is public. */
  readonly identity?: string
  /** The window that counted the call, where it is admitted. */
  readonly rate?: Rate
}

/** The one place where calls are admitted: Check, Authenticate and VerifyKey all ask it. */
export interface Gate {
  /** Decides about a call. Throws only where it cannot decide: the database or a neighbour is away. */
  decide(attempt: Attempt, signal?: AbortSignal): Promise<Decision>
  /** Decides about a bearer that reached a service directly: gives an identity token, or throws the refusal. */
  authenticate(bearer: string, method: string, signal?: AbortSignal): Promise<string>
  /** Decides whether a key may be used now with these scopes, and counts the use where it may. */
  verifyKey(digest: Buffer, asked: readonly string[], signal?: AbortSignal): Promise<KeyCode>
}

/** What the gate stands on. */
export interface GateOptions extends CredentialsOptions {
  readonly rules: Rules
  readonly usage: KeyUsageTeller
  /** The windows of a minute that limits are counted in. */
  readonly windows: SlidingWindows
  readonly cookie: SessionCookie
  readonly limits: {
    readonly auth: number
    readonly read: number
    readonly write: number
    readonly plans: Plans
  }
}

// Wrong credentials per address, as a multiple of the auth limit: a misconfigured client behind a shared address is
// slowed down, and a right credential from there is not.
const INVALID_FACTOR = 10

/** Creates the gate. */
export function createGate(options: GateOptions): Gate {
  const { rules, windows, limits, cookie, now } = options
  const identityTokenOf = createIdentityTokens(options)
  const credentials = createCredentials(options)

  const invalid = ({ address }: Attempt): Decision => {
    if (address === undefined) return { refusal: credentialInvalid() }
    const taken = windows.take(`invalid:${addressSubject(address)}`, limits.auth * INVALID_FACTOR, now())
    return { refusal: taken.admitted ? credentialInvalid() : rateLimited(taken) }
  }

  const admitPublic = ({ limit }: Rule & { kind: 'public' }, { address = '' }: Attempt): Decision => {
    const rate = windows.take(`${limit}:${addressSubject(address)}`, limits[limit], now())
    return rate.admitted ? { rate } : { refusal: rateLimited(rate) }
  }

  const admitUser = async (
    rule: Rule & { kind: 'scope' },
    attempt: Attempt,
    signal?: AbortSignal,
  ): Promise<Decision> => {
    const presented = presentedBy(attempt, cookie)
    if (presented === undefined) return { refusal: credentialMissing() }
    if (presented === 'unreadable') return invalid(attempt)
    const holder = await credentials.holderOf(presented, signal)
    if (holder === undefined) return invalid(attempt)
    if (holder === 'tunnel') return { refusal: connectsOnly() }
    const fromCookie = presented.kind === 'session' && presented.fromCookie
    if (fromCookie && !rule.safe && !cookie.isOurs(attempt)) return { refusal: crossSite() }
    if (rule.scope !== 'any' && !holder.scopes.has(rule.scope)) return { refusal: scopeMissing(rule.scope) }
    const { userId, plan } = holder.user
    const { readFactor, writeFactor } = limits.plans[plan]
    const limit = Math.floor(limits[rule.limit] * (rule.limit === 'read' ? readFactor : writeFactor))
    const rate = windows.take(`${rule.limit}:${userId}`, limit, now())
    if (!rate.admitted) return { refusal: rateLimited(rate) }
    if (holder.credential.type === 'api_key') options.usage.used(holder.credential.id, now())
    return { identity: await identityTokenOf(holder), rate }
  }

  const decide: Gate['decide'] = async (attempt, signal) => {
    const rule = rules.get(attempt.method)
    if (!rule || rule.kind === 'internal') return { refusal: unknownMethod() }
    return rule.kind === 'public' ? admitPublic(rule, attempt) : admitUser(rule, attempt, signal)
  }

  return {
    decide,
    async authenticate(bearer, method, signal) {
      if (rules.get(method)?.kind !== 'scope') throw notForUsers()
      const attempt = { method, authorization: `Bearer ${bearer}` }
      const { refusal, identity = '' } = await decide(attempt, signal)
      if (refusal) throw refusal
      return identity
    },
    async verifyKey(digest, asked, signal) {
      const found = await credentials.findKey(digest, signal)
      if (!found) return 'NOT_FOUND'
      const { code } = judgeKey(found.key, found.owner, asked, now())
      if (code === 'VALID') options.usage.used(found.key.id, now())
      return code
    },
  }
}

const credentialMissing = () => new Refusal('CREDENTIAL_MISSING', 'Invalid or missing API key')
const credentialInvalid = () => new Refusal('CREDENTIAL_INVALID', 'Invalid or missing API key')
const unknownMethod = () => new Refusal('UNKNOWN_METHOD', 'There is nothing here')
const notForUsers = () => invalidFields([{ field: 'method', message: 'must be an rpc that users call' }])
const connectsOnly = () =>
  new Refusal('TUNNEL_TOKEN_CONNECTS_ONLY', "A tunnel's token is good for connecting that tunnel only")
const crossSite = () =>
  new Refusal(
    'CROSS_SITE',
    'The session cookie admits no changes from another site; send the token as a bearer',
  )
