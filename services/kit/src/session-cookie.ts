import { readCookie } from './cookie.ts'

/** How the cookie of the API's session is called. */
export const SESSION_COOKIES = {
  /** Where the API is on localhost; other apps there share its cookies, whatever their port. */
  local: { name: 'instatunnel_session', earlier: 'session' },
  /** Everywhere else: bound to its host by its name (RFC 6265bis, section 4.1.3.2). */
  elsewhere: { name: '__Host-instatunnel_session', earlier: '__Host-session' },
} as const
// The earlier names are those of 0.1; they are read for one release more.

const NAMES: ReadonlySet<string> = new Set(
  Object.values(SESSION_COOKIES).flatMap(({ name, earlier }) => [name, earlier]),
)

// The beginning of {"alg":"EdDSA","typ":"session+jwt", and so of every token that auth signs for a session.
const TOKEN_START = 'eyJhbGciOiJFZERTQSIsInR5cCI6InNlc3Npb24rand0I'
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** True where a text holds what may be the token of a session; cheap, to be asked before the text is parted. */
export const maySessionTokenBeIn = (text: string): boolean => text.includes(TOKEN_START)

/**
 * The session's token in a cookie as it stands in a Cookie header, `name=value`; quotes around the value are taken off.
 * Undefined where the cookie has another name, or its value not the form of a session's token: then it is a site's own.
 */
export function sessionTokenIn(cookie: string, named?: string): string | undefined {
  const read = readCookie(cookie)
  if (!read || (named === undefined ? !NAMES.has(read.name) : read.name !== named)) return undefined
  return read.value.startsWith(TOKEN_START) && TOKEN.test(read.value) ? read.value : undefined
}
