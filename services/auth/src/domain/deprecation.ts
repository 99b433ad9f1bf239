import type { KnownKey } from './known-key.ts'

/**
 * What answers to a call with a secret that was replaced say beside all else: since when it is deprecated (RFC 9745) and
 * when it stops working (RFC 8594). Undefined for a secret that was not.
 */
export function deprecationOf({
  record: { deprecatedAt, sunsetAt },
}: KnownKey): Readonly<Record<string, string>> | undefined {
  if (deprecatedAt === undefined) return undefined
  const deprecation = `@${Math.floor(deprecatedAt.getTime() / 1000)}`
  return sunsetAt === undefined ? { deprecation } : { deprecation, sunset: sunsetAt.toUTCString() }
}
