import { scopeMissing } from '@instatunnel/kit/guard'
import { type Identity, isBounded } from '@instatunnel/kit/identity'
import { Refusal } from '@instatunnel/kit/refusal'
import { missingScope, scopesOfRole } from '@instatunnel/kit/scope'

/** Refuses to invite anybody by a key that is bounded: an account of one's own is bounded by nothing. */
export function refuseBounded({ credential }: Pick<Identity, 'credential'>): void {
  if (!isBounded(credential) && credential.subdomains === undefined) return
  throw new Refusal(
    'KEY_BOUNDED',
    'This key is held to networks, subdomains, a time or a number of uses, and an account is to none of them; use another credential',
  )
}

/** Refuses to make an admin by a credential that is less than one: a bounded key, and one that lacks a scope of admins. */
export function refuseLesser(caller: Pick<Identity, 'credential' | 'scopes'>): void {
  refuseBounded(caller)
  const missing = missingScope(scopesOfRole('admin'), caller.scopes)
  if (missing !== undefined) throw scopeMissing(missing)
}
