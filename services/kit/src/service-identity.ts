import { createPrivateKey, createPublicKey } from 'node:crypto'
import { decodeJwt, jwtVerify, SignJWT } from 'jose'
import { LRUCache } from 'lru-cache'
import { Refusal } from './refusal.ts'

const TOKEN = { typ: 'service+jwt', algorithms: ['EdDSA'], lifeSeconds: 60 }

/** Signs what a service calls its neighbours with; a token is used again for half its life. */
export type SignServiceToken = (audience: string) => Promise<string>

/** Verifies a neighbour's token and tells its name; refuses with SERVICES_ONLY. */
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
    if (known && known.until > now) return known.token
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'EdDSA', typ: TOKEN.typ })
      .setIssuer(options.service)
      .setAudience(audience)
      .setIssuedAt(now)
      .setExpirationTime(now + TOKEN.lifeSeconds)
      .sign(key)
    signed.set(audience, { token, until: now + TOKEN.lifeSeconds / 2 })
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
  const verified = new LRUCache<string, { issuer: string; until: number }>({ max: 1000 })
  return async (token) => {
    const known = verified.get(token)
    if (known && known.until > options.now().getTime()) return known.issuer
    try {
      const { payload } = await jwtVerify(token, keyOfIssuer(keys, token), {
        typ: TOKEN.typ,
        algorithms: TOKEN.algorithms,
        audience: options.service,
        currentDate: options.now(),
        requiredClaims: ['iss', 'exp'],
      })
      const issuer = payload.iss as string
      verified.set(token, { issuer, until: (payload.exp as number) * 1000 })
      return issuer
    } catch {
      throw servicesOnly()
    }
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

function keyOfIssuer<Key>(keys: ReadonlyMap<string, Key>, token: string): Key {
  const key = keys.get(decodeJwt(token).iss ?? '')
  if (!key) throw new Error('unknown issuer')
  return key
}
