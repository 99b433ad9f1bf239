import { maySessionTokenBeIn, SESSION_COOKIES, sessionTokenIn } from '@instatunnel/kit/session-cookie'
import { SESSION_SECONDS } from './session.ts'

/** How a place's session cookie is named, written, read and trusted. */
export interface SessionCookie {
  /** The Set-Cookie value that stores a token. */
  set(token: string): string
  /** The Set-Cookie values that remove it. */
  clear(): string[]
  /** What may be tokens in a Cookie header, at most 8, the one to be tried first before the others. */
  read(header: string): string[]
  /** True where a browser's call comes from our own pages, or from no browser (Origin and Sec-Fetch-Site absent). */
  isOurs(call: { origin?: string | undefined; fetchSite?: string | undefined }): boolean
}

// A browser sends one for each path that a cookie was set for; each costs a signature.
const MAX_READ = 8

/** True for an address of localhost, whose apps share their cookies. */
export const isLocal = (url: string): boolean =>
  /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname)

/** The cookie of the API at this address: host-only, and bound to the host by its name off localhost. */
export function createSessionCookie(publicUrl: string): SessionCookie {
  const { origin } = new URL(publicUrl)
  const isAtHome = isLocal(publicUrl)
  const { name, earlier } = SESSION_COOKIES[isAtHome ? 'local' : 'elsewhere']
  const attributes = 'Path=/; HttpOnly; SameSite=Lax; Secure'
  // On localhost the earlier name, `session`, is that of any app's cookie. It stays, as what it names has ended.
  const cleared = isAtHome ? [name] : [name, earlier]
  return {
    set: (token) => `${name}=${token}; Max-Age=${SESSION_SECONDS}; ${attributes}`,
    clear: () => cleared.map((each) => `${each}=; Max-Age=0; ${attributes}`),
    read: (header) => {
      if (!maySessionTokenBeIn(header)) return []
      // Envoy joins several Cookie headers with commas, which no token holds.
      const cookies = header.split(/[;,]/)
      const named = (each: string) => cookies.flatMap((cookie) => sessionTokenIn(cookie, each) ?? [])
      return [...new Set([...named(name), ...named(earlier)])].slice(0, MAX_READ)
    },
    isOurs: (call) =>
      (call.origin === undefined || call.origin === origin) &&
      (call.fetchSite === undefined || call.fetchSite === 'same-origin' || call.fetchSite === 'none'),
  }
}
