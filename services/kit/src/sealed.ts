import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Random } from './id.ts'

// NIST SP 800-38D, section 8.2.2: 96 random bits, for far fewer than 2^32 texts under one key.
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Seals a text with AES-256-GCM, bound to a name: nonce, ciphertext and tag in one. */
export function seal(text: string, name: string, key: Buffer, random: Random): Buffer {
  const nonce = random(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name))
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
}

/** Opens what was sealed under the same name and key; throws where anything of it differs. */
export function unseal(sealed: Buffer, name: string, key: Buffer): string {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(Buffer.from(name)).setAuthTag(sealed.subarray(-TAG_BYTES))
  return decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
}
