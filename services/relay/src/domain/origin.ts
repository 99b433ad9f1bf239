import { addressSubject } from '@instatunnel/kit/client-address'

/** Whose request it is, and which limit it counts for. */
export interface Origin {
  /** The visitor's IPv4 address, or its IPv6 network (/64). */
  readonly client: string
  /** True for a request to switch protocols (WebSocket), which is counted apart from other requests. */
  readonly upgrades: boolean
}

// IPv4 needs no reading, and most requests come over it.
export const clientOf = (address: string): string =>
  address.includes(':') ? addressSubject(address) : address

/** The origin of a request whose head another relay has written (head.ts): no header of a visitor's looks like these. */
export function originOf(head: string): Origin {
  // The relay's own headers come last, and a visitor's with these names are left out.
  const at = head.lastIndexOf(ADDRESS)
  const from = at + ADDRESS.length
  const end = head.indexOf('\n', from)
  const address = at === -1 ? '' : head.slice(from, end === -1 ? undefined : end)
  return { client: clientOf(address), upgrades: head.includes(UPGRADE) }
}

const ADDRESS = '\nx-forwarded-for\n'
const UPGRADE = '\nconnection\nupgrade\nupgrade\n'
