import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { IDENTITY_TOKEN, type IdentityClaims, type PublicKey } from '@instatunnel/kit/identity'
import { scopesOfRole } from '@instatunnel/kit/scope'
import { SignJWT } from 'jose'

/** An Ed25519 key pair, in PEM as settings have it. */
export interface KeyPair {
  /** PKCS8. */
  privateKey: string
  /** SubjectPublicKeyInfo. */
  publicKey: string
}

/** A new key pair, such as a service's own. */
export function newKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
}

/** Signs identities as auth does, for tests that run without auth. */
export interface IdentitySigner {
  /** What auth's ListIdentityKeys answers. */
  readonly keys: PublicKey[]
  readonly privateKey: KeyObject
  /** An identity token: an ordinary user on the free plan with a session, unless said otherwise. */
  sign(userId: string, claims?: Partial<IdentityClaims>, lifeSeconds?: number): Promise<string>
}

/** Creates a signer with a key of its own. */
export function createIdentitySigner({
  kid = 'identity_test',
  now = () => new Date(),
}: {
  kid?: string
  now?: () => Date
} = {}): IdentitySigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    keys: [{ kid, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() }],
    privateKey,
    sign: (userId, claims = {}, lifeSeconds = IDENTITY_TOKEN.lifeSeconds) => {
      const issuedAt = Math.floor(now().getTime() / 1000)
      return new SignJWT({ ...anybody, ...claims })
        .setProtectedHeader({ alg: 'EdDSA', typ: IDENTITY_TOKEN.typ, kid })
        .setIssuer(IDENTITY_TOKEN.issuer)
        .setAudience(IDENTITY_TOKEN.audience)
        .setSubject(userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + lifeSeconds)
        .sign(privateKey)
    },
  }
}

const anybody: IdentityClaims = {
  scopes: scopesOfRole('user'),
  plan: 'free',
  role: 'user',
  credential: { type: 'session', id: 'ses_1', sessionId: 'ses_1' },
}
