import { readCookie } from './cookie.ts'

/** The name of the cookie that a browser's device is known by. */
export const DEVICE_COOKIES = {
  /** Where the API is on localhost. */
  local: 'instatunnel_device',
  /** Everywhere else: bound to its host by its name (RFC 6265bis, section 4.1.3.2). */
  elsewhere: '__Host-instatunnel_device',
} as const

/** How many accounts one browser keeps a token of. */
export const MAX_DEVICE_TOKENS = 4

const NAMES: ReadonlySet<string> = new Set(Object.values(DEVICE_COOKIES))
const TOKEN_START = 'itd_'
const VALUE = /^itd_[0-9A-Za-z]{32}(?:\.itd_[0-9A-Za-z]{32}){0,3}$/

/** True where a text may hold a device token; cheap, to be asked before the text is split. */
export const mayDeviceTokenBeIn = (text: string): boolean => text.includes(TOKEN_START)

/**
 * The device tokens in a cookie as it stands in a Cookie header, `name=value`: one for each account, at most four. Undefined
 * where the cookie has another name, or a value of another form: then it is a site's own.
 */
export function deviceTokensIn(text: string, named?: string): string[] | undefined {
  const cookie = readCookie(text)
  if (!cookie || (named === undefined ? !NAMES.has(cookie.name) : cookie.name !== named)) return undefined
  return VALUE.test(cookie.value) ? cookie.value.split('.') : undefined
}
