import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import type { Random } from '@instatunnel/kit/id'

// NIST SP 800-38D, section 8.2.2: 96 random bits, far fewer than 2^32 tokens under one secret.
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** A token as it is stored. */
export interface SealedToken {
  /** Nonce, ciphertext and tag, one after another. */
  readonly tokenSealed: Buffer
  /** Which secret it is sealed with. */
  readonly tokenSecretId: string
}

/** Keeps tokens so that they can be shown again (AES-256-GCM). */
export interface TokenSafe {
  seal(tunnelId: string, token: string, random: Random): SealedToken
  /** Throws where the seal was broken, belongs to another tunnel or is of another secret. */
  open(tunnelId: string, sealed: SealedToken): string
}

/** A safe with one secret of 32 bytes. Each seal names its secret, so that a later safe can hold several. */
export function createTokenSafe(secret: Buffer): TokenSafe {
  const secretId = createHmac('sha256', secret).update('id of this secret').digest('hex').slice(0, 8)
  return {
    seal(tunnelId, token, random) {
      const nonce = random(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(Buffer.from(tunnelId))
      const tokenSealed = Buffer.concat([nonce, cipher.update(token), cipher.final(), cipher.getAuthTag()])
      return { tokenSealed, tokenSecretId: secretId }
    },
    open(tunnelId, { tokenSealed, tokenSecretId }) {
      if (tokenSecretId !== secretId) {
        throw new Error(
          `the token of ${tunnelId} is sealed with secret ${tokenSecretId}, this is ${secretId}`,
        )
      }
      const nonce = tokenSealed.subarray(0, NONCE_BYTES)
      const options = { authTagLength: TAG_BYTES }
      const decipher = createDecipheriv('aes-256-gcm', secret, nonce, options)
        .setAAD(Buffer.from(tunnelId))
        .setAuthTag(tokenSealed.subarray(-TAG_BYTES))
      const opened = decipher.update(tokenSealed.subarray(NONCE_BYTES, -TAG_BYTES))
      return Buffer.concat([opened, decipher.final()]).toString()
    },
  }
}
