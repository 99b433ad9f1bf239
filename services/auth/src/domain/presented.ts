import type { SessionCookie } from './cookie.ts'

/** A credential as a call presents it, by its kind; nothing about it is verified yet. */
export type Presented =
  | { readonly kind: 'api_key'; readonly secret: string }
  /** Of several tokens, which a browser may send, the first that is good counts. */
  | { readonly kind: 'session'; readonly tokens: readonly string[]; readonly fromCookie: boolean }
  | { readonly kind: 'tunnel_token'; readonly secret: string }

// The longest key is a prefix of 32 and 32 more; the shortest `it_` and 16. What does not fit is not looked up.
const KEY = /^[A-Za-z0-9_-]{19,64}$/
const TUNNEL_TOKEN = /^itt_[A-Za-z0-9]{32}$/
const MAX_TOKEN = 2048

/**
 * What a call presents: its bearer, else its cookie; undefined for neither, 'unreadable' for what can be no credential. A
 * cookie of our name that holds no session's token is that of another app on the host, and no credential.
 */
export function presentedBy(
  call: { authorization?: string | undefined; cookie?: string | undefined },
  cookie: SessionCookie,
): Presented | undefined | 'unreadable' {
  if (call.authorization !== undefined) {
    const [, bearer] = /^Bearer +([^\s]+)$/i.exec(call.authorization) ?? []
    return bearer === undefined ? 'unreadable' : bearerKind(bearer)
  }
  const tokens = call.cookie === undefined ? [] : cookie.read(call.cookie)
  return tokens.length === 0 ? undefined : { kind: 'session', tokens, fromCookie: true }
}

function bearerKind(bearer: string): Presented | 'unreadable' {
  if (bearer.startsWith('eyJ')) {
    return bearer.length > MAX_TOKEN ? 'unreadable' : { kind: 'session', tokens: [bearer], fromCookie: false }
  }
  if (bearer.startsWith('itt_')) {
    return TUNNEL_TOKEN.test(bearer) ? { kind: 'tunnel_token', secret: bearer } : 'unreadable'
  }
  return KEY.test(bearer) ? { kind: 'api_key', secret: bearer } : 'unreadable'
}
