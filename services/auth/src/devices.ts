import type { Call } from '@instatunnel/kit/unary'
import type { DeviceKind } from './domain/device.ts'
import type { DeviceCookie } from './domain/device-cookie.ts'
import { ownCookiesOf } from './own-cookies.ts'

/** What devices are told apart by. */
export interface DeviceOptions {
  readonly deviceCookie: DeviceCookie
  /** A token that this account is to know a device by. */
  newDeviceToken(email: string): string
  /** What is stored of a token that an account knows a device by. */
  deviceDigest(email: string, token: string): Buffer
}

/** The device that a call comes from, as an account may know it. */
export interface Device {
  /** What is stored of the tokens that the call brings; nothing is verified yet. */
  readonly digests: readonly Buffer[]
  /**
   * Has the account know this browser from now on: by the token that it is known by, if that is not to be replaced, else by a
   * new one. Gives what is to be stored, and the Set-Cookie value with the tokens of this browser's other accounts; to be
   * asked once the caller is known to be the owner.
   */
  keep(known?: { readonly digest: Buffer; readonly isUsedUp: boolean }): {
    readonly digest: Buffer
    readonly kind: DeviceKind
    readonly cookie: string
  }
}

/**
 * The device that a call comes from: OWASP's device cookie, https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies.
 * It admits to nothing; the owner's next attempts are counted apart from those of strangers. So it outlives logging out and
 * changes of the password.
 */
export function deviceOf(options: DeviceOptions, call: Call, email: string): Device {
  const { deviceCookie, newDeviceToken, deviceDigest } = options
  const cookies = deviceCookie.read(ownCookiesOf(call))
  const presented = [...new Set(cookies.flat())].map((token) => ({
    token,
    digest: deviceDigest(email, token),
  }))
  return {
    digests: presented.map(({ digest }) => digest),
    keep(known) {
      const own = presented.find(({ digest }) => known?.digest.equals(digest))
      // Never a token that somebody else may have given this browser.
      const token = own && !known?.isUsedUp ? own.token : newDeviceToken(email)
      // A cookie of this name without the token that is known may be another app's.
      const ours = own ? cookies.filter((tokens) => tokens.includes(own.token)) : cookies
      const others = new Set(ours.flat().filter((each) => each !== own?.token))
      return {
        digest: deviceDigest(email, token),
        kind: own ? 'returned' : isBrowser(call) ? 'browser' : 'program',
        cookie: deviceCookie.set([token, ...others]),
      }
    },
  }
}

// Browsers say where each POST comes from. What claims so falsely knows the password, and spends its own account's places.
const isBrowser = ({ metadata }: Call) =>
  ['sec-fetch-site', 'origin'].some((name) => metadata.get(name).length > 0)
