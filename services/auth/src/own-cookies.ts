import type { Call } from '@instatunnel/kit/unary'
import { AuthServiceService } from '@instatunnel/proto/auth/v1/auth_service'
import type { SessionCookie } from './domain/cookie.ts'
import type { Attempt } from './domain/decision.ts'
import type { DeviceCookie } from './domain/device-cookie.ts'

/**
 * Where Check leaves those of auth's own cookies that an rpc of auth acts on: it takes the Cookie header away, and nothing
 * that a client sends arrives under this name. What they say is verified where it is used.
 */
const OWN_COOKIES_METADATA = 'x-instatunnel-cookie'

/** The header that hands an rpc, by its full method, auth's own cookies of a call; undefined for none. */
export type OwnCookies = (rpc: string, call: Attempt) => Readonly<Record<string, string>> | undefined

/** Hands auth's own cookies on to the rpcs that act on them, unless another site has a browser make the call. */
export function createOwnCookies(
  cookie: Pick<SessionCookie, 'own' | 'isOurs'>,
  deviceCookie: Pick<DeviceCookie, 'own'>,
): OwnCookies {
  const { register, login, logout } = AuthServiceService
  const read = new Map<string, (header: string) => string>([
    [register.path, deviceCookie.own],
    [login.path, deviceCookie.own],
    [logout.path, cookie.own],
  ])
  return (rpc, call) => {
    const ownIn = read.get(rpc)
    if (!ownIn || call.cookie === undefined || !cookie.isOurs(call)) return undefined
    const own = ownIn(call.cookie)
    return own === '' ? undefined : { [OWN_COOKIES_METADATA]: own }
  }
}

/** Auth's own cookies that a call came with, as a Cookie header; empty for none. */
export const ownCookiesOf = (call: Call) => String(call.metadata.get(OWN_COOKIES_METADATA)[0] ?? '')
