import { deviceTokensIn, mayDeviceTokenBeIn } from './device-cookie.ts'
import { maySessionTokenBeIn, sessionTokenIn } from './session-cookie.ts'

/** True where a text may hold a cookie of the API; cheap, to be asked before the text is split. */
export const mayOwnCookieBeIn = (text: string): boolean =>
  maySessionTokenBeIn(text) || mayDeviceTokenBeIn(text)

/**
 * True for a cookie of the API as it stands in a Cookie header, `name=value`: by its exact name, and where its value has the
 * form of our tokens. A cookie of the same name with another value is a site's own.
 */
export const isOwnCookie = (cookie: string): boolean =>
  sessionTokenIn(cookie) !== undefined || deviceTokensIn(cookie) !== undefined
