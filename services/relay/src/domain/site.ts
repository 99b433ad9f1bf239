/** Where sites are reachable. */
export interface SiteAddress {
  /** What subdomains lie under. */
  readonly domain: string
  /** The gateway, whose scheme and port visitors use too. */
  readonly gateway: URL
}

/** The address of a subdomain's site: the port is left out where it is the scheme's own. */
export function siteUrl(subdomain: string, { domain, gateway }: SiteAddress): string {
  const { protocol, port } = gateway
  return `${protocol}//${subdomain}.${domain}${port === '' ? '' : `:${port}`}`
}

/** The subdomain that a Host header names, in lower case; undefined where it is none right below the domain. */
export function subdomainOf(host: string, domain: string): string | undefined {
  const colon = host.indexOf(':')
  const name = (colon === -1 ? host : host.slice(0, colon)).toLowerCase()
  const end = name.length - domain.length - 1
  if (end < 1 || name[end] !== '.' || !name.endsWith(domain)) return undefined
  const subdomain = name.slice(0, end)
  return subdomain.includes('.') ? undefined : subdomain
}
