import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Random } from '@instatunnel/kit/id'
import { randomAlphanumeric } from '@instatunnel/kit/secret'
import { emailKey } from './account.ts'

// The parts of a token, in letters and digits: 83 random bits; what names the account; 59 bits that say that auth made it.
const RANDOM_LENGTH = 14
const ACCOUNT_LENGTH = 8
const MAC_LENGTH = 10
const MAC_START = RANDOM_LENGTH + ACCOUNT_LENGTH
const TOKEN_START = 'itd_'
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** What a device is known as: one that brought its token again, or a new one of a browser, or of a program, which may keep no cookies. */
export type DeviceKind = 'returned' | 'browser' | 'program'

/**
 * A token that an account knows a device by (kit/device-cookie has its form): random, and signed, so that Check knows a device of
 * ours without asking anybody. It names its account by an HMAC, so that one account has few places among devices.
 */
export function newDeviceToken(secret: Buffer, email: string, random: Random): string {
  const signed =
    randomAlphanumeric(RANDOM_LENGTH, random) +
    macOf(secret, `device of account\n${emailKey(email)}`, ACCOUNT_LENGTH)
  return TOKEN_START + signed + signatureOf(secret, signed)
}

/** What names the account that a token was made for; undefined where auth made no such token. */
export function deviceAccountOf(secret: Buffer, token: string): string | undefined {
  const text = token.slice(TOKEN_START.length)
  const signed = text.slice(0, MAC_START)
  const right = Buffer.from(signatureOf(secret, signed))
  const given = Buffer.from(text.slice(MAC_START))
  if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined
  return signed.slice(RANDOM_LENGTH)
}

/** What is stored of a device's token: bound to the account's e-mail, so that at another account it is worth nothing. */
export const deviceDigest = (secret: Buffer, email: string, token: string): Buffer =>
  createHmac('sha256', secret)
    .update(`known device\n${emailKey(email)}\n${token}`)
    .digest()

const signatureOf = (secret: Buffer, signed: string) => macOf(secret, `device token\n${signed}`, MAC_LENGTH)

const macOf = (secret: Buffer, text: string, length: number) =>
  [...createHmac('sha256', secret).update(text).digest().subarray(0, length)]
    .map((byte) => ALPHABET[byte % ALPHABET.length])
    .join('')
