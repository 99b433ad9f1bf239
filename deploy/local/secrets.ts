import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { keptSecret } from './kept-secret.ts'
import { recordOf } from './record-of.ts'
import { type ServiceName, serviceNames } from './service-names.ts'

/** Everything secret that the services are given. */
export interface Secrets {
  /** Encrypts auth's private keys in its database. */
  authSecret: string
  /** Peppers as the services read them: JSON from pepper id to 32 bytes in base64. */
  keyPeppers: string
  tokenPeppers: string
  /** Encrypts tunnel tokens. */
  tokenSecret: string
  /** Each service's own Ed25519 key: PKCS8 PEM, and the public halves as SPKI PEM. */
  serviceKeys: Record<ServiceName, string>
  servicePublicKeys: Record<ServiceName, string>
}

/** The secrets of a data folder, made on first use. */
export async function openSecrets(dataDir: string): Promise<Secrets> {
  const keep = (name: string, make: () => string) => keptSecret(dataDir, name, make)
  const [authSecret, keyPeppers, tokenPeppers, tokenSecret, ...keys] = await Promise.all([
    keep('auth-secret', random32),
    keep('key-peppers.json', firstPepper),
    keep('token-peppers.json', firstPepper),
    keep('token-secret', random32),
    ...serviceNames.map((name) => keep(`${name}.pem`, ed25519Pem)),
  ])
  const serviceKeys = recordOf(serviceNames, (_, index) => keys[index] as string)
  const servicePublicKeys = recordOf(serviceNames, (name) => publicPem(serviceKeys[name]))
  return { authSecret, keyPeppers, tokenPeppers, tokenSecret, serviceKeys, servicePublicKeys }
}

function random32(): string {
  return randomBytes(32).toString('base64')
}

function firstPepper(): string {
  return JSON.stringify({ p1: random32() })
}

function ed25519Pem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function publicPem(privatePem: string): string {
  return createPublicKey(privatePem).export({ type: 'spki', format: 'pem' }).toString()
}
