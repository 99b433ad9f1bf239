import { Refusal } from '@instatunnel/kit/refusal'
import { isSubdomainAllowed } from '@instatunnel/kit/subdomain-pattern'

/** Who asks with a credential that may be for some subdomains only. */
export interface Restricted {
  readonly credential: { readonly subdomains?: readonly string[] }
}

/** Patterns of the subdomains whose tunnels a credential is for; none where it is for all. */
export const patternsOf = ({ credential }: Restricted): readonly string[] => credential.subdomains ?? []

/** Refuses a subdomain that the patterns leave out: a tunnel there would be out of the reach of who made it. */
export function refuseOutside(subdomain: string, patterns: readonly string[]): void {
  if (!isSubdomainAllowed(subdomain, patterns))
    throw notAllowed(patterns, `"${subdomain}" is not one; choose another`)
}

/** The refusal where no subdomain can be made up within the patterns. */
export const noneToMakeUp = (patterns: readonly string[]) =>
  notAllowed(patterns, 'none can be made up; name one')

const notAllowed = (patterns: readonly string[], wayOut: string) =>
  new Refusal('SUBDOMAIN_NOT_ALLOWED', `This key is for the subdomains ${patterns.join(', ')}: ${wayOut}`)
