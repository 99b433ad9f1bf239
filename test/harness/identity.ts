import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { CONNECT_TOKEN, type ConnectClaims } from '@instatunnel/kit/connect'
import { IDENTITY_TOKEN, type IdentityClaims } from '@instatunnel/kit/identity'
import { scopesOfRole } from '@instatunnel/kit/scope'
import type { PublicKey, TokenKind } from '@instatunnel/kit/token-verifier'
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

/** Signs one kind of token as auth does, for tests that run without auth. */
export interface TokenSigner<Claims> {
  /** What auth's ListIdentityKeys answers. */
  readonly keys: PublicKey[]
  readonly privateKey: KeyObject
  /** A token of this user's. */
  sign(userId: string, claims?: Partial<Claims>, lifeSeconds?: number): Promise<string>
}

/** Signs identities. */
export type IdentitySigner = TokenSigner<IdentityClaims>

interface SignerOptions {
  kid?: string
  now?: () => Date
}

/** Signs identities: those of an ordinary user on the free plan with a session, unless said otherwise. */
export const createIdentitySigner = (options: SignerOptions = {}): IdentitySigner =>
  createSigner<IdentityClaims>(IDENTITY_TOKEN, options, {
    scopes: scopesOfRole('user'),
    plan: 'free',
    role: 'user',
    credential: { type: 'session', id: 'ses_1', sessionId: 'ses_1' },
  })

/** Signs connect tokens: for one tunnel of the free plan with its owner's key, unless said otherwise. */
export const createConnectSigner = (options: SignerOptions = {}): TokenSigner<ConnectClaims> =>
  createSigner<ConnectClaims>(CONNECT_TOKEN, options, {
    tunnel: { id: 'tun_1', subdomain: 'docs-demo', tokenGeneration: 0 },
    plan: 'free',
    mode: '',
    credential: { type: 'api_key', id: 'key_1' },
  })

function createSigner<Claims extends object>(
  kind: TokenKind,
  { kid = 'identity_test', now = () => new Date() }: SignerOptions,
  usual: Claims,
): TokenSigner<Claims> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    keys: [{ kid, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() }],
    privateKey,
    sign: (userId, claims = {}, lifeSeconds = kind.lifeSeconds) => {
      const issuedAt = Math.floor(now().getTime() / 1000)
      return new SignJWT({ ...usual, ...claims })
        .setProtectedHeader({ alg: 'EdDSA', typ: kind.typ, kid })
        .setIssuer(kind.issuer)
        .setAudience(kind.audience)
        .setSubject(userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + lifeSeconds)
        .sign(privateKey)
    },
  }
}
