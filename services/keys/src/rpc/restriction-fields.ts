import { canonicalNetwork } from '@instatunnel/kit/network'
import { SUBDOMAIN_PATTERN } from '@instatunnel/kit/subdomain-pattern'
import { z } from 'zod'

const ITEMS_MAX = 32
// The longest that names one: an IPv6 address that ends in an IPv4 one, and its length.
const NETWORK_MAX_LENGTH = 50

// The second half is for ::ffff:10.0.0.0/8, which is in CIDR notation and names no network of IPv4.
const NETWORK_FAULT =
  'must be an IPv4 or IPv6 address, or a network in CIDR notation, of IPv4 written as one: 10.0.0.0/8'

/** Where a key may be used from, and for which tunnels. */
export const restrictionFields = {
  allowedIps: listOf((text) => {
    const network = text.length <= NETWORK_MAX_LENGTH ? canonicalNetwork(text) : undefined
    return network ?? { fault: NETWORK_FAULT }
  }),
  allowedSubdomains: listOf((text) => {
    const pattern = text.toLowerCase()
    if (SUBDOMAIN_PATTERN.test(pattern)) return pattern
    return { fault: "must be 1 to 63 of a-z, 0-9 and '-', '*' for any characters and '?' for one" }
  }),
}

/** A list of what `read` makes of its items, each once. The count first: of a list too long, no item is looked at. */
function listOf(read: (text: string) => string | { fault: string }) {
  return z
    .array(z.string())
    .max(ITEMS_MAX, { error: `must be at most ${ITEMS_MAX}`, abort: true })
    .transform((list, context) => {
      const items = list.map(read)
      for (const [index, item] of items.entries()) {
        if (typeof item !== 'string') context.addIssue({ code: 'custom', path: [index], message: item.fault })
      }
      return [...new Set(items.filter((item) => typeof item === 'string'))]
    })
}
