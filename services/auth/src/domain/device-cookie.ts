import {
  DEVICE_COOKIES,
  deviceTokensIn,
  MAX_DEVICE_TOKENS,
  mayDeviceTokenBeIn,
} from '@instatunnel/kit/device-cookie'
import { isLocal } from './cookie.ts'
import { KNOWN_DAYS } from './known-days.ts'

/** How an API's device cookie is named, written and read. It holds a token for each account that logged in by it. */
export interface DeviceCookie {
  /** The Set-Cookie value that stores tokens; the first four are kept. */
  set(tokens: readonly string[]): string
  /** The tokens in a Cookie header, cookie by cookie, at most sixteen different ones; `[]` for none. */
  read(header: string): string[][]
  /** What of a Cookie header is this cookie; empty for nothing. `read` reads it. */
  own(header: string): string
}

// Other apps on localhost may add cookies of this name; each token costs an HMAC, and only the account tells which is ours.
const MAX_READ = 16

/**
 * The device cookie of the API at this address. Only calls to register and log in need it: where its name does not demand
 * otherwise it goes nowhere else, and no other site has a browser send it.
 */
export function createDeviceCookie(publicUrl: string): DeviceCookie {
  const isAtHome = isLocal(publicUrl)
  const name = DEVICE_COOKIES[isAtHome ? 'local' : 'elsewhere']
  const path = isAtHome ? '/v1/auth' : '/'
  const attributes = `Max-Age=${KNOWN_DAYS * 24 * 60 * 60}; Path=${path}; HttpOnly; SameSite=Strict; Secure`
  const cookieOf = (tokens: readonly string[]) => `${name}=${tokens.slice(0, MAX_DEVICE_TOKENS).join('.')}`
  const read = (header: string) => {
    if (!mayDeviceTokenBeIn(header)) return []
    // Envoy joins several Cookie headers with commas.
    const cookies = header.split(/[;,]/).map((cookie) => deviceTokensIn(cookie, name) ?? [])
    const found = new Set<string>()
    return cookies.filter((tokens) => {
      const fresh = new Set(tokens.filter((token) => !found.has(token)))
      if (fresh.size === 0 || found.size + fresh.size > MAX_READ) return false
      for (const token of fresh) found.add(token)
      return true
    })
  }
  return {
    set: (tokens) => `${cookieOf(tokens)}; ${attributes}`,
    read,
    own: (header) => read(header).map(cookieOf).join('; '),
  }
}
