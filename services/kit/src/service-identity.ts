import { createPrivateKey, createPublicKey } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { issuerOf, signJwt, verifyJwt } from './jwt.ts'
import { clocksDiffer, Refusal } from './refusal.ts'

const TOKEN = { typ: 'service+jwt', lifeSeconds: 60 }
const REUSED_SECONDS = TOKEN.lifeSeconds / 2
// As of the tokens that auth signs (kit/token-verifier): a service hands out none with less than 30 s left.
const LEEWAY_SECONDS = 30

/** Signs what a service calls its neighbours with; a token is used again for half its life. */
export type SignServiceToken = (audience: string) => Promise<string>

/** Verifies a neighbour's token and tells its name; refuses with SERVICES_ONLY, or CLOCKS_DIFFER where only its time is wrong. */
export type VerifyServiceToken = (token: string) => Promise<string>

/** Signs with the service's own Ed25519 key. */
export function createServiceSigner(options: {
  service: string
  privateKey: string
  now: () => Date
}): SignServiceToken {
  const key = createPrivateKey(options.privateKey)
  const signed = new Map<string, { token: string; until: number }>()
  return async (audience) => {
    const now = Math.floor(options.now().getTime() / 1000)
    const known = signed.get(audience)
    // Where the clock was set back it is signed anew: a neighbour takes no token of a time to come.
    if (known && known.until > now && known.until - REUSED_SECONDS <= now) return known.token
    const claims = { iss: options.service, aud: audience, iat: now, exp: now + TOKEN.lifeSeconds }
    const token = signJwt({ typ: TOKEN.typ }, claims, key)
    signed.set(audience, { token, until: now + REUSED_SECONDS })
    return token
  }
}

/** Verifies against the services' public keys, each distinct token once. */
export function createServiceVerifier(options: {
  service: string
  publicKeys: Readonly<Record<string, string>>
  now: () => Date
}): VerifyServiceToken {
  const keys = new Map(Object.entries(options.publicKeys).map(([name, pem]) => [name, createPublicKey(pem)]))
  const pins = { ...TOKEN, audience: options.service, leewaySeconds: LEEWAY_SECONDS }
  const verified = new LRUCache<string, { issuer: string; until: number }>({ max: 1000 })
  return async (token) => {
    const now = options.now()
    const known = verified.get(token)
    if (known && known.until > now.getTime()) return known.issuer
    const issuer = issuerOf(token) ?? ''
    const key = keys.get(issuer)
    const verdict = key && verifyJwt(token, key, pins, now)
    if (verdict?.kind === 'early' || verdict?.kind === 'late') throw clocksDiffer(now)
    if (verdict?.kind !== 'valid') throw servicesOnly()
    verified.set(token, { issuer, until: (verdict.claims.exp + LEEWAY_SECONDS) * 1000 })
    return issuer
  }
}

/**
 * Tells which service is calling: by its token, which its certificate must bear out where there is one. A certificate that
 * names one service stands for it without a token as well. Refuses with SERVICES_ONLY.
 */
export async function identifyService(options: {
  verifyService: VerifyServiceToken
  token: string | undefined
  /** The services that the caller's certificate names; undefined in clear. */
  certified: readonly string[] | undefined
}): Promise<string> {
  const { verifyService, token, certified } = options
  if (token === undefined && certified?.length === 1) return certified[0] as string
  const service = await verifyService(token ?? '')
  if (certified && !certified.includes(service)) throw servicesOnly()
  return service
}

const servicesOnly = () => new Refusal('SERVICES_ONLY', 'Only services of the platform may call this')
