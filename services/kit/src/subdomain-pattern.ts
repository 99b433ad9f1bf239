/** What patterns of subdomains are made of: '*' stands for any characters, none included, and '?' for one. */
export const SUBDOMAIN_PATTERN = /^[a-z0-9*?-]{1,63}$/

/** True where there are no patterns, or the subdomain matches one of them. */
export const isSubdomainAllowed = (subdomain: string, patterns: readonly string[]): boolean =>
  patterns.length === 0 || patterns.some((pattern) => matches(subdomain, pattern))

/**
 * True where a pattern matches nothing that none of several others match. It may be false where several of them
 * together match all that it does.
 */
export const isPatternWithin = (pattern: string, patterns: readonly string[]): boolean =>
  patterns.some((outer) => matches(pattern, outer))

/**
 * Goes back to the last star only, so that a pattern full of stars takes no longer than the product of both lengths; a
 * regular expression may take for ever. The text may be a pattern, too: its stars are matched by stars alone.
 */
function matches(text: string, pattern: string): boolean {
  let [at, against, star, resume] = [0, 0, -1, 0]
  while (at < text.length) {
    const wanted = pattern[against]
    if (wanted === '*') {
      star = against++
      resume = at
    } else if (wanted === text[at] || (wanted === '?' && text[at] !== '*')) {
      at++
      against++
    } else if (star >= 0) {
      against = star + 1
      at = ++resume
    } else return false
  }
  while (pattern[against] === '*') against++
  return against === pattern.length
}
