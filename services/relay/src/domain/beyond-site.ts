/**
 * Headers of an answer that would act on more than the site which answers: on DOMAIN, on its neighbours, or on a proxy
 * before the gateway. All others are about the site's own host (Strict-Transport-Security and NEL with their
 * includeSubDomains too: what lies below is the site's), and pass.
 */
const BEYOND: ReadonlySet<string> = new Set([
  // It clears the cookies of the whole registrable name, the API's and other sites' among them
  // (https://w3c.github.io/webappsec-clear-site-data/#clear-cookies).
  'clear-site-data',
  // Where else a host is served (RFC 7838) only the gateway knows: visitors would go past it.
  'alt-svc',
  // A proxy before the gateway would answer with a file of its own.
  'x-accel-redirect',
  'x-lighttpd-send-file',
  'x-sendfile',
])

/** True for a header of an answer, by its name in lower case, that no site may say: it would reach beyond the site. */
export const isBeyondSite = (name: string, value: string, domain: string): boolean =>
  name === 'set-cookie' ? isSetFor(value, domain) : BEYOND.has(name)

const DOMAIN_ATTRIBUTE = /;\s*domain\s*=([^;]*)/gi
const PLAIN_NAME = /^[a-z0-9.-]*$/

/**
 * True for a cookie that a site would set for all of our domain, or for more: only for itself may it set any. A browser
 * may read percent-encoded and wide letters of a domain as plain ones, so that a name which holds others is taken for ours.
 */
function isSetFor(cookie: string, domain: string): boolean {
  for (const [, value = ''] of cookie.matchAll(DOMAIN_ATTRIBUTE)) {
    const name = withoutOuterDots(value.trim().toLowerCase())
    if (!PLAIN_NAME.test(name) || name === domain || domain.endsWith(`.${name}`)) return true
  }
  return false
}

// Browsers take one dot off the beginning. Not by a pattern: one that ends in $ costs the square of the dots.
function withoutOuterDots(text: string): string {
  let [from, to] = [0, text.length]
  while (text[from] === '.') from++
  while (to > from && text[to - 1] === '.') to--
  return text.slice(from, to)
}
