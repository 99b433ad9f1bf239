import type { Random } from '@instatunnel/kit/id'
import { makeUpSubdomain } from '../domain/made-up-subdomain.ts'
import { subdomainTaken } from '../domain/subdomain.ts'

// One in two thousand million is taken for every tunnel that there is: a second attempt is rare, a tenth a fault.
const ATTEMPTS = 10

/**
 * Saves under the subdomain that was chosen, refusing where another tunnel has it; an empty one is made up, again
 * where it is taken. `save` tells whether it could.
 */
export async function claimSubdomain<T extends { subdomain: string }>(
  wanted: T,
  random: Random,
  save: (claimed: T) => Promise<boolean>,
): Promise<T> {
  if (wanted.subdomain !== '') {
    if (await save(wanted)) return wanted
    throw subdomainTaken(wanted.subdomain)
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const claimed = { ...wanted, subdomain: makeUpSubdomain(random) }
    if (await save(claimed)) return claimed
  }
  throw new Error(`${ATTEMPTS} made-up subdomains in a row were taken`)
}
