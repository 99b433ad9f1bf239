import { hash, type Options, verify } from '@node-rs/argon2'

// Argon2id with the parameters of OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
const PARAMETERS: Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** Hashes a password for storing. */
export const hashPassword = (password: string): Promise<string> =>
  hash(password.normalize('NFKC'), PARAMETERS)

/** Compares a password with what was stored, in constant time. */
export const isPassword = (password: string, stored: string): Promise<boolean> =>
  verify(stored, password.normalize('NFKC'))

// Made at once: made for the first unknown e-mail, it would take that one twice the time of a wrong password.
const decoy = hashPassword('nobody has this password')

/** Takes the time of a comparison and is always false: an unknown e-mail answers no sooner than a wrong password. */
export async function isNobodysPassword(password: string): Promise<false> {
  await isPassword(password, await decoy)
  return false
}
