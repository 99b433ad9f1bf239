import { maySessionTokenBeIn, SESSION_COOKIES, sessionTokenIn } from '@instatunnel/kit/session-cookie'
import { SESSION_SECONDS } from './session.ts'

/** How a place's session cookie is named, written, read and trusted. */
export interface SessionCookie {
  /** The Set-Cookie value that stores a token. */
  set(token: string): string
  /** The Set-Cookie values that remove it, by its name and by each that a Cookie header has a session's token under. */
  clear(header: string): string[]
  /** What may be tokens in a Cookie header, at most 16, the one to be tried first before the others. */
  read(header: string): string[]
  /** What of a Cookie header may be our sessions' cookies, at most 16; empty for nothing. `read` and `clear` read it. */
  own(header: string): string
  /** True where a browser's call comes from our own pages, or from no browser (Origin and Sec-Fetch-Site absent). */
  isOurs(call: { origin?: string | undefined; fetchSite?: string | undefined }): boolean
}

// A browser sends one for each path that a cookie was set for, and other apps on localhost may add theirs; each costs a signature.
const MAX_READ = 16
// Ours are about 350 characters, and end in a signature of Ed25519: what has another form does not hide one that is good.
const MAX_TOKEN = 1024
const SIGNED = /\.[\w-]{86}$/

/** True for an address of localhost, whose apps share their cookies. */
export const isLocal = (url: string): boolean =>
  /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname)

/** The cookie of the API at this address: host-only, and bound to the host by its name off localhost. */
export function createSessionCookie(publicUrl: string): SessionCookie {
  const { origin } = new URL(publicUrl)
  const isAtHome = isLocal(publicUrl)
  const { name, earlier } = SESSION_COOKIES[isAtHome ? 'local' : 'elsewhere']
  const attributes = 'Path=/; HttpOnly; SameSite=Lax; Secure'
  // On localhost the earlier name, `session`, is that of any app's cookie: it is ours where it holds a session's token.
  const alwaysCleared = isAtHome ? [name] : [name, earlier]
  const find = (header: string): Found[] => {
    if (!maySessionTokenBeIn(header)) return []
    // Envoy joins several Cookie headers with commas, which no token holds.
    const cookies = header.split(/[;,]/)
    const found = [name, earlier].flatMap((named) => {
      const tokens = new Set(cookies.flatMap((cookie) => sessionTokenIn(cookie, named) ?? []))
      return [...tokens].filter(mayBeSigned).map((token) => ({ name: named, token }))
    })
    return found.slice(0, MAX_READ)
  }
  return {
    set: (token) => `${name}=${token}; Max-Age=${SESSION_SECONDS}; ${attributes}`,
    clear: (header) =>
      [...new Set([...alwaysCleared, ...find(header).map((found) => found.name)])].map(
        (each) => `${each}=; Max-Age=0; ${attributes}`,
      ),
    read: (header) => [...new Set(find(header).map(({ token }) => token))],
    own: (header) =>
      find(header)
        .map((found) => `${found.name}=${found.token}`)
        .join('; '),
    isOurs: (call) =>
      (call.origin === undefined || call.origin === origin) &&
      (call.fetchSite === undefined || call.fetchSite === 'same-origin' || call.fetchSite === 'none'),
  }
}

/** A cookie that may be one of our sessions'. */
interface Found {
  readonly name: string
  readonly token: string
}

const mayBeSigned = (token: string) => token.length <= MAX_TOKEN && SIGNED.test(token)
