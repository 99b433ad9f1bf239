/** Where the platform's tunnels are reachable. */
export interface PublicAddress {
  /** What subdomains lie under. */
  readonly domain: string
  /** The gateway, whose scheme and port visitors use too. */
  readonly gateway: URL
}

/** Where a tunnel is reachable: the port is left out where it is the scheme's own. */
export function urlOf(subdomain: string, { domain, gateway }: PublicAddress): string {
  const { protocol, port } = gateway
  return `${protocol}//${subdomain}.${domain}${port === '' ? '' : `:${port}`}`
}
