/** Names that a visitor, a mail server or a browser would take for the platform's own, or trusts by convention. */
const RESERVED: ReadonlySet<string> = new Set(
  `
  www api app admin administrator root system webmaster hostmaster postmaster abuse security
  auth oauth oidc sso saml login logout signin signout signup register account accounts password identity sessions

  instatunnel localhost localdomain local internal intranet relay gateway edge proxy ingress tunnel tunnels agent
  connect nats postgres envoy metrics health healthz status grafana prometheus

  docs documentation help support legal privacy terms dashboard console billing payment payments pay invoice invoices
  static assets cdn

  mail email webmail smtp smtps imap imaps pop pop3 mta mta-sts ftp sftp ssh vpn dns
  autoconfig autodiscover wpad isatap broadcasthost dhcp example invalid onion well-known acme acme-challenge
  `
    .trim()
    .split(/\s+/),
)

// Name servers and mail exchangers are numbered: ns1, mx02 …
const NUMBERED = /^(www|ns|mx|dns|smtp|mail|relay)\d+$/

/** True for a subdomain that nobody may have. */
export const isReserved = (subdomain: string) => RESERVED.has(subdomain) || NUMBERED.test(subdomain)
