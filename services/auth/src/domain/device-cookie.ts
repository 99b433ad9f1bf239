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
  /** The tokens in a Cookie header, at most four. */
  read(header: string): string[]
  /** What of a Cookie header is this cookie; empty for nothing. `read` reads it. */
  own(header: string): string
}

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
    const tokens = header.split(/[;,]/).flatMap((cookie) => deviceTokensIn(cookie, name) ?? [])
    return [...new Set(tokens)].slice(0, MAX_DEVICE_TOKENS)
  }
  return {
    set: (tokens) => `${cookieOf(tokens)}; ${attributes}`,
    read,
    own(header) {
      const tokens = read(header)
      return tokens.length === 0 ? '' : cookieOf(tokens)
    },
  }
}
