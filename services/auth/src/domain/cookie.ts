import { SESSION_SECONDS } from './session.ts'

/** How a place's session cookie is named, written, read and trusted. */
export interface SessionCookie {
  /** The Set-Cookie value that stores a token. */
  set(token: string): string
  /** The Set-Cookie value that removes it. */
  clear(): string
  /** The token in a Cookie header; undefined where there is none. */
  read(header: string): string | undefined
  /** True where a browser's call comes from our own pages, or from no browser (Origin and Sec-Fetch-Site absent). */
  isOurs(call: { origin?: string | undefined; fetchSite?: string | undefined }): boolean
}

/** The cookie of the API at this address: host-only, and bound to the host by its name off localhost (RFC 6265bis). */
export function createSessionCookie(publicUrl: string): SessionCookie {
  const { origin, hostname } = new URL(publicUrl)
  const isLocal = /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
  const name = isLocal ? 'session' : '__Host-session'
  const attributes = 'Path=/; HttpOnly; SameSite=Lax; Secure'
  return {
    set: (token) => `${name}=${token}; Max-Age=${SESSION_SECONDS}; ${attributes}`,
    clear: () => `${name}=; Max-Age=0; ${attributes}`,
    read: (header) => {
      const pairs = header.split(';').map((pair) => pair.trim())
      return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
    },
    isOurs: (call) =>
      (call.origin === undefined || call.origin === origin) &&
      (call.fetchSite === undefined || call.fetchSite === 'same-origin' || call.fetchSite === 'none'),
  }
}
