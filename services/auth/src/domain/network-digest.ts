import { createHmac } from 'node:crypto'
import { emailKey } from './account.ts'

/** What a network that an account was logged in from is stored as: it tells no address, and nothing about other accounts. */
export const networkDigest = (secret: Buffer, email: string, network: string): Buffer =>
  createHmac('sha256', secret)
    .update(`known network\n${emailKey(email)}\n${network}`)
    .digest()
