import { Refusal } from '@instatunnel/kit/refusal'
import type { Refused } from './domain/decision.ts'

/** The refusal of a tunnel's token for whatever it does not open. */
export const connectsOnly = () =>
  new Refusal('TUNNEL_TOKEN_CONNECTS_ONLY', "A tunnel's token is good for connecting that tunnel only")

/** The refusal of what there is not. */
export const nothingHere = () => new Refusal('UNKNOWN_METHOD', 'There is nothing at this path.')

/** The "no" to a call without a credential. */
export const credentialMissing = (): Refused => ({
  refusal: new Refusal('CREDENTIAL_MISSING', 'Invalid or missing API key'),
})

/** The "no" to one with a wrong one. */
export const credentialInvalid = (): Refused => ({
  refusal: new Refusal('CREDENTIAL_INVALID', 'Invalid or missing API key'),
})

/** The "no" to a change that a browser was made to ask for. */
export const crossSite = (): Refused => ({
  refusal: new Refusal(
    'CROSS_SITE',
    'The session cookie admits no changes from another site; send the token as a bearer',
  ),
})

/** The refusal of a password for which there is no room now, before it is hashed. */
export const passwordsBusy = () =>
  new Refusal('PASSWORDS_BUSY', 'Too many passwords are being checked right now; try again shortly', {
    retryAfterSeconds: 1,
  })
