import { isIPv6 } from 'node:net'

/**
 * Whom a limit per client address counts: an IPv4 address as it is, an IPv6 one by its /64, which is what one
 * household or host gets (RFC 6177). IPv4 written as IPv6 counts as IPv4.
 */
export function addressSubject(address: string): string {
  if (!isIPv6(address)) return address
  const groups = groupsOf(address)
  const [high = 0, low = 0] = groups.slice(6)
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (isMapped) return [high >> 8, high & 255, low >> 8, low & 255].join('.')
  const network = groups.slice(0, 4).map((group) => group.toString(16))
  return `${network.join(':')}::/64`
}

/** The eight groups of an IPv6 address, however it is written. */
function groupsOf(address: string): number[] {
  // The URL parser reads every spelling, dotted tails too, and writes one (https://url.spec.whatwg.org/#concept-ipv6-serializer).
  const [zoneless] = address.split('%')
  const text = new URL(`http://[${zoneless}]`).hostname.slice(1, -1)
  const [head = '', tail = ''] = text.split('::')
  const [left, right] = [head, tail].map((part) => part.split(':').filter(Boolean)) as [string[], string[]]
  const zeros = Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16))
}
