import { createHmac } from 'node:crypto'
import type { Random } from '@instatunnel/kit/id'
import { randomAlphanumeric } from '@instatunnel/kit/secret'
import { emailKey } from './account.ts'

const SECRET_LENGTH = 32

/** A token that an account knows a device by: 190 random bits (kit/device-cookie has its form). */
export const newDeviceToken = (random: Random) => `itd_${randomAlphanumeric(SECRET_LENGTH, random)}`

/** What is stored of a device's token: bound to the account's e-mail, so that at another account it is worth nothing. */
export const deviceDigest = (secret: Buffer, email: string, token: string): Buffer =>
  createHmac('sha256', secret)
    .update(`known device\n${emailKey(email)}\n${token}`)
    .digest()
