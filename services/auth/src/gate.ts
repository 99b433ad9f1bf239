import { status } from '@grpc/grpc-js'
import type { ServiceClient } from '@instatunnel/kit/client'
import { scopeMissing } from '@instatunnel/kit/guard'
import type { IdentityClaims, PresentedCredential } from '@instatunnel/kit/identity'
import type { Plans } from '@instatunnel/kit/plans'
import type { Sql } from '@instatunnel/kit/postgres'
import { invalidFields, Refusal } from '@instatunnel/kit/refusal'
import type { Rule, Rules } from '@instatunnel/kit/rules'
import { scopesOfRole } from '@instatunnel/kit/scope'
import { digestOf } from '@instatunnel/kit/secret'
import type {
  KeyDirectoryServiceService,
  KeyRecord,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { LRUCache } from 'lru-cache'
import { addressSubject } from './domain/client-address.ts'
import type { SessionCookie } from './domain/cookie.ts'
import { judgeKey, type KeyCode } from './domain/key-verdict.ts'
import { type Presented, presentedBy } from './domain/presented.ts'
import type { Rate, SlidingWindows } from './domain/sliding-window.ts'
import { kidOf, type SessionClaims, signIdentityToken, verifySessionToken } from './domain/token.ts'
import type { KeyUsageTeller } from './events/key-usage.ts'
import type { SigningKeys } from './signing-keys.ts'
import { findSessionUser, findStanding, type Standing } from './store/session-store.ts'

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
  /** The limit that counted the call, where one did. */
  readonly rate?: Rate
}

/** The one place where calls are admitted: Check, Authenticate and VerifyKey all ask it. */
export interface Gate {
  /** Decides about a call. Throws only where it cannot decide: the database or a neighbour is away. */
  decide(attempt: Attempt): Promise<Decision>
  /** Decides about a bearer that reached a service directly: gives an identity token, or throws the refusal. */
  authenticate(bearer: string, method: string): Promise<string>
  /** Decides whether a key may be used now with these scopes, and counts the use where it may. */
  verifyKey(digest: Uint8Array, asked: readonly string[]): Promise<KeyCode>
}

/** What the gate stands on. */
export interface GateOptions {
  readonly sql: Sql
  readonly rules: Rules
  readonly keys: Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'lookUpKey'>
  readonly tunnels: Pick<ServiceClient<typeof TunnelDirectoryServiceService>, 'lookUpToken'>
  readonly signingKeys: SigningKeys
  readonly usage: KeyUsageTeller
  readonly windows: SlidingWindows
  readonly cookie: SessionCookie
  readonly limits: {
    readonly auth: number
    readonly read: number
    readonly write: number
    readonly plans: Plans
  }
  readonly now: () => Date
}

/** Creates the gate. */
export function createGate(options: GateOptions): Gate {
  const { sql, rules, windows, limits, now } = options
  const identityTokenOf = createIdentityTokens(options)
  const credentials = createCredentials(options)

  const invalid = (attempt: Attempt): Decision => {
    if (attempt.address === undefined) return { refusal: credentialInvalid() }
    const rate = windows.take(`invalid:${addressSubject(attempt.address)}`, limits.auth * 10, now())
    return rate.admitted ? { refusal: credentialInvalid() } : { refusal: rateLimited(rate), rate }
  }

  const admitPublic = (rule: Rule & { kind: 'public' }, attempt: Attempt): Decision => {
    if (attempt.address === undefined) return {}
    const limit = limits[rule.limit]
    const rate = windows.take(`${rule.limit}:${addressSubject(attempt.address)}`, limit, now())
    return rate.admitted ? { rate } : { refusal: rateLimited(rate), rate }
  }

  const admitUser = async (rule: Rule & { kind: 'scope' }, attempt: Attempt): Promise<Decision> => {
    const presented = presentedBy(attempt, options.cookie)
    if (presented === undefined) return { refusal: credentialMissing() }
    if (presented === 'unreadable') return invalid(attempt)
    const holder = await credentials.holderOf(presented)
    if (holder === undefined) return invalid(attempt)
    if (holder === 'tunnel') return { refusal: connectsOnly() }
    if (
      presented.kind === 'session' &&
      presented.fromCookie &&
      !rule.safe &&
      !options.cookie.isOurs(attempt)
    ) {
      return { refusal: crossSite() }
    }
    if (rule.scope !== 'any' && !holder.scopes.has(rule.scope)) return { refusal: scopeMissing(rule.scope) }
    const { userId, plan } = holder.user
    const { readFactor, writeFactor } = limits.plans[plan]
    const limit =
      rule.limit === 'auth'
        ? limits.auth
        : limits[rule.limit] * (rule.limit === 'read' ? readFactor : writeFactor)
    const rate = windows.take(`${rule.limit}:${userId}`, Math.floor(limit), now())
    if (!rate.admitted) return { refusal: rateLimited(rate), rate }
    if (holder.credential.type === 'api_key') options.usage.used(holder.credential.id, now())
    return { identity: await identityTokenOf(holder), rate }
  }

  const decide = async (attempt: Attempt): Promise<Decision> => {
    const rule = rules.get(attempt.method)
    if (!rule || rule.kind === 'internal') return { refusal: unknownMethod() }
    return rule.kind === 'public' ? admitPublic(rule, attempt) : admitUser(rule, attempt)
  }

  return {
    decide,
    async authenticate(bearer, method) {
      if (rules.get(method)?.kind !== 'scope') throw notForUsers()
      const { refusal, identity = '' } = await decide({ method, authorization: `Bearer ${bearer}` })
      if (refusal) throw refusal
      return identity
    },
    async verifyKey(digest, asked) {
      const key = await credentials.findKey(digest)
      const owner = key && (await ownerOf(sql, key, now()))
      if (!key || !owner) return 'NOT_FOUND'
      const { code } = judgeKey(key, owner, asked, now())
      if (code === 'VALID') options.usage.used(key.id, now())
      return code
    },
  }
}

/** Whoever holds a valid credential, and what it may do now. */
interface Holder {
  readonly user: Standing
  readonly credential: PresentedCredential
  readonly scopes: ReadonlySet<string>
}

const REMEMBERED = 10_000

function createCredentials({ sql, keys, tunnels, signingKeys, now }: GateOptions) {
  // A signature does not change: each session token is verified once. Whether its session lives is asked every time.
  const verified = new LRUCache<string, SessionClaims>({ max: REMEMBERED })

  const findKey = (digest: Uint8Array): Promise<KeyRecord | undefined> =>
    keys.lookUpKey({ digest: Buffer.from(digest) }).catch(undefinedWhereNotFound)

  const holderOfKey = async (secret: string): Promise<Holder | undefined> => {
    const key = await findKey(digestOf(secret))
    const user = key && (await ownerOf(sql, key, now()))
    if (!key || !user) return undefined
    const { code, scopes } = judgeKey(key, user, [], now())
    if (code !== 'VALID') return undefined
    const expires = key.expiresAt ? { expiresAt: Math.floor(key.expiresAt.getTime() / 1000) } : {}
    const session = key.sessionId === undefined ? {} : { sessionId: key.sessionId }
    return {
      user,
      scopes,
      credential: { type: 'api_key', id: key.id, masked: key.masked, ...session, ...expires },
    }
  }

  const claimsOf = async (token: string): Promise<SessionClaims | undefined> => {
    const known = verified.get(token)
    if (known) return known.expiresAt * 1000 > now().getTime() ? known : undefined
    const key = await signingKeys.verifying('session', kidOf(token) ?? '')
    const claims = key && (await verifySessionToken(token, key, now()))
    if (claims) verified.set(token, claims)
    return claims
  }

  const holderOfSession = async (token: string): Promise<Holder | undefined> => {
    const claims = await claimsOf(token)
    const user = claims && (await findSessionUser(sql, claims.sessionId, now()))
    if (!claims || !user) return undefined
    const { sessionId, expiresAt } = claims
    return {
      user,
      scopes: new Set(scopesOfRole(user.role)),
      credential: { type: 'session', id: sessionId, sessionId, expiresAt },
    }
  }

  return {
    findKey,
    /** Who holds a credential, "tunnel" for a tunnel's own token; undefined where it is not, or no longer, valid. */
    async holderOf(presented: Presented): Promise<Holder | 'tunnel' | undefined> {
      if (presented.kind === 'api_key') return holderOfKey(presented.secret)
      if (presented.kind === 'session') return holderOfSession(presented.token)
      const token = await tunnels
        .lookUpToken({ digest: digestOf(presented.secret) })
        .catch(undefinedWhereNotFound)
      return token && 'tunnel'
    },
  }
}

/** The standing of a key's owner; undefined where the key's session has ended. */
const ownerOf = (sql: Sql, key: KeyRecord, now: Date) =>
  key.sessionId === undefined ? findStanding(sql, key.userId) : findSessionUser(sql, key.sessionId, now)

/** Identity tokens, each used again for half its life where nothing that it says has changed. */
function createIdentityTokens({ signingKeys, now }: GateOptions) {
  const signed = new LRUCache<string, { token: Promise<string>; until: number }>({ max: REMEMBERED })
  return ({ user, credential, scopes }: Holder): Promise<string> => {
    const claims: IdentityClaims = { scopes: [...scopes], plan: user.plan, role: user.role, credential }
    const fingerprint = JSON.stringify([user.userId, claims])
    const known = signed.get(fingerprint)
    if (known && known.until > now().getTime()) return known.token
    const token = signIdentityToken(user.userId, claims, signingKeys.signing('identity'), now())
    signed.set(fingerprint, { token, until: now().getTime() + 30_000 })
    return token
  }
}

function undefinedWhereNotFound(error: { code?: unknown }): undefined {
  if (error.code === status.NOT_FOUND) return undefined
  throw error
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

/** The refusal of a call past a limit. */
export const rateLimited = (rate: Rate) =>
  new Refusal('RATE_LIMITED', 'API rate limit exceeded', { retryAfterSeconds: rate.resetSeconds })
