import type { Random } from '@instatunnel/kit/id'
import { makeUpSubdomain, makeUpTail } from './made-up-subdomain.ts'
import { subdomainFault } from './subdomain.ts'

const LONGEST = 63

/**
 * A made-up subdomain that matches one of the patterns, such as "docs-brave-otter-k3x9" for "docs-*"; any where there
 * are none. Undefined where none came out: the patterns leave nothing open, or what they leave makes no subdomain.
 */
export function makeUpFitting(patterns: readonly string[], random: Random): string | undefined {
  if (patterns.length === 0) return makeUpSubdomain(random)
  for (const pattern of roomiestFirst(patterns)) {
    // A star may stand for nothing, but "*-docs-*" takes something for each.
    for (const length of [0, 1]) {
      const subdomain = filled(pattern, makeUpTail(length, random), random)
      if (subdomainFault(subdomain) === undefined) return subdomain
    }
  }
  return undefined
}

/** Those with stars, then those with question marks; a name that is whole is nobody's to make up. */
const roomiestFirst = (patterns: readonly string[]) => [
  ...patterns.filter((pattern) => pattern.includes('*')),
  ...patterns.filter((pattern) => pattern.includes('?') && !pattern.includes('*')),
]

/** The pattern with something made up for its last star, `others` for the stars before, and a letter for each "?". */
function filled(pattern: string, others: string, random: Random): string {
  const last = pattern.lastIndexOf('*')
  const lettered = (text: string) => text.replaceAll('?', () => makeUpTail(1, random))
  if (last < 0) return lettered(pattern)
  const before = lettered(pattern.slice(0, last).replaceAll('*', others))
  const after = lettered(pattern.slice(last + 1))
  const room = Math.max(LONGEST - before.length - after.length, 0)
  const words = makeUpSubdomain(random)
  return `${before}${words.length <= room ? words : makeUpTail(room, random)}${after}`
}
