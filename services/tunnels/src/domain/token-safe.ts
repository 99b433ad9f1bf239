import { createHmac } from 'node:crypto'
import type { Random } from '@instatunnel/kit/id'
import { seal, unseal } from '@instatunnel/kit/sealed'

/** A token as it is stored. */
export interface SealedToken {
  readonly tokenSealed: Buffer
  /** Which secret it is sealed with. */
  readonly tokenSecretId: string
}

/** Keeps tokens so that they can be shown again (AES-256-GCM, bound to their tunnel). */
export interface TokenSafe {
  seal(tunnelId: string, token: string, random: Random): SealedToken
  /** Throws where the seal was broken, belongs to another tunnel or is of another secret. */
  open(tunnelId: string, sealed: SealedToken): string
}

/** A safe with one secret of 32 bytes. Each seal names its secret, so that a later safe can hold several. */
export function createTokenSafe(secret: Buffer): TokenSafe {
  const secretId = createHmac('sha256', secret).update('id of this secret').digest('hex').slice(0, 8)
  return {
    seal: (tunnelId, token, random) => ({
      tokenSealed: seal(token, tunnelId, secret, random),
      tokenSecretId: secretId,
    }),
    open(tunnelId, { tokenSealed, tokenSecretId }) {
      if (tokenSecretId !== secretId) {
        throw new Error(
          `the token of ${tunnelId} is sealed with secret ${tokenSecretId}, this is ${secretId}`,
        )
      }
      return unseal(tokenSealed, tunnelId, secret)
    },
  }
}
