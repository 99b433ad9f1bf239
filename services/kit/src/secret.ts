import { createHash, createHmac } from 'node:crypto'
import { z } from 'zod'
import type { Random } from './id.ts'

const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** So many characters of [0-9A-Za-z], each equally likely: bytes past 247 are drawn again, 248 being 4 x 62. */
export function randomAlphanumeric(length: number, random: Random): string {
  let text = ''
  while (text.length < length) {
    for (const byte of random(length)) {
      if (byte < 248 && text.length < length) text += ALPHANUMERIC[byte % 62]
    }
  }
  return text
}

/** SHA-256 of a secret: what services say to one another instead of the secret itself. */
export const digestOf = (secret: string): Buffer => createHash('sha256').update(secret).digest()

/** A field that holds a digest. */
export const digestField = z
  .instanceof(Buffer)
  .refine((bytes) => bytes.length === 32, 'must be 32 bytes, a SHA-256')

/** `it_***...def`: a secret's prefix and its last three characters. */
export const masked = (prefix: string, secret: string) => `${prefix}***...${secret.slice(-3)}`

/** Server peppers by id; the last is the one that new secrets are stored with. */
export interface Peppers {
  /** What is stored for a digest now. */
  hash(digest: Uint8Array): { pepperId: string; hash: Buffer }
  /** What may be stored for a digest, under every pepper. */
  candidates(digest: Uint8Array): Buffer[]
}

// Objects list keys that are whole numbers first, whatever the text's order was.
const PEPPER_ID = /^[a-z]/i

/** A setting of peppers: a JSON object, id → 32 bytes in base64, oldest first. */
export const peppersSetting = z.string().transform((text, context): Peppers => {
  try {
    const entries = Object.entries(z.record(z.string().regex(PEPPER_ID), z.string()).parse(JSON.parse(text)))
    const peppers = entries.map(([id, base64]) => ({ id, key: Buffer.from(base64, 'base64') }))
    const last = peppers.at(-1)
    if (last && peppers.every(({ key }) => key.length === 32)) return createPeppers(peppers, last)
  } catch {}
  context.addIssue({
    code: 'custom',
    message: 'must be a JSON object, id to 32 bytes in base64; an id begins with a letter',
  })
  return z.NEVER
})

function createPeppers(all: readonly Pepper[], last: Pepper): Peppers {
  const hmac = (pepper: Pepper, digest: Uint8Array) =>
    createHmac('sha256', pepper.key).update(digest).digest()
  return {
    hash: (digest) => ({ pepperId: last.id, hash: hmac(last, digest) }),
    candidates: (digest) => all.map((pepper) => hmac(pepper, digest)),
  }
}

interface Pepper {
  id: string
  key: Buffer
}
