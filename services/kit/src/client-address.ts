import { canonicalAddress, canonicalNetwork } from '@instatunnel/kit/network'

/**
 * Whom a limit per client address counts: an IPv4 address as it is, an IPv6 one by its /64, which is what one
 * household or host gets (RFC 6177). IPv4 written as IPv6 counts as IPv4.
 */
export function addressSubject(address: string): string {
  const canonical = canonicalAddress(address)
  if (!canonical?.includes(':')) return canonical ?? address
  return canonicalNetwork(`${canonical}/64`) ?? address
}
