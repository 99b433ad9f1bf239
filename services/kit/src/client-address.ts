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

/** The network of a client's neighbours, of an address as addressSubject has it: of IPv4 the /24, of IPv6 the /48 that one customer may get (RFC 6177). */
export function networkOf(client: string): string {
  // A /64 as it is written (RFC 5952) ends in `::`, before which its last zeros are left out.
  const end = client.indexOf('::')
  if (end === -1) return client.slice(0, client.lastIndexOf('.'))
  const [first, second = '0', third = '0'] = client.slice(0, end).split(':')
  return `${first || '0'}:${second}:${third}`
}
