import { randomBytes } from 'node:crypto'

/** A source of random bytes: node:crypto's in production, a fixed one in tests. */
export type Random = (bytes: number) => Buffer

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** What follows an id's prefix: 26 characters of Crockford's base 32. */
export const ID_TAIL = /^[0-9a-hjkmnp-tv-z]{26}$/

/**
 * A new id: the prefix and a ULID in lower case, 48 bits of milliseconds and 80 of randomness, so that ids sort by
 * the time they were made (https://github.com/ulid/spec).
 */
export function newId(prefix: string, now: Date, random: Random = randomBytes): string {
  let bits = (BigInt(now.getTime()) << 80n) | BigInt(`0x${random(10).toString('hex')}`)
  let tail = ''
  for (let i = 0; i < 26; i++) {
    tail = ALPHABET[Number(bits & 31n)] + tail
    bits >>= 5n
  }
  return prefix + tail
}

/** True for an id of this prefix. */
export const isId = (text: string, prefix: string) =>
  text.startsWith(prefix) && ID_TAIL.test(text.slice(prefix.length))
