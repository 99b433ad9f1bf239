import type { Random } from '@instatunnel/kit/id'
import { noneToMakeUp, refuseOutside } from '../domain/allowed-subdomain.ts'
import { makeUpFitting } from '../domain/fitting-subdomain.ts'
import { subdomainTaken } from '../domain/subdomain.ts'

// One in two thousand million is taken for every tunnel that there is: a second attempt is rare, a tenth a fault.
// Where patterns leave little room, it is the caller who knows a name.
const ATTEMPTS = 10

/** What a claim keeps to. */
export interface Claiming {
  /** Patterns of the subdomains that may be claimed; all where there are none. */
  readonly patterns: readonly string[]
  readonly random: Random
}

/**
 * Saves under the subdomain that was chosen, refusing where another tunnel has it or the patterns leave it out; an empty
 * one is made up, again where it is taken. `save` tells whether it could.
 */
export async function claimSubdomain<T extends { subdomain: string }>(
  wanted: T,
  { patterns, random }: Claiming,
  save: (claimed: T) => Promise<boolean>,
): Promise<T> {
  if (wanted.subdomain !== '') {
    refuseOutside(wanted.subdomain, patterns)
    if (await save(wanted)) return wanted
    throw subdomainTaken(wanted.subdomain)
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const subdomain = makeUpFitting(patterns, random)
    if (subdomain === undefined) continue
    const claimed = { ...wanted, subdomain }
    if (await save(claimed)) return claimed
  }
  if (patterns.length > 0) throw noneToMakeUp(patterns)
  throw new Error(`${ATTEMPTS} made-up subdomains in a row were taken`)
}
