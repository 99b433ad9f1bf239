/** One cookie as it stands in a Cookie header, `name=value`; quotes around the value are taken off. */
export interface Cookie {
  readonly name: string
  readonly value: string
}

/** Reads one cookie of a Cookie header; undefined where the text is none. */
export function readCookie(text: string): Cookie | undefined {
  const equals = text.indexOf('=')
  if (equals === -1) return undefined
  const value = text.slice(equals + 1).trim()
  const isQuoted = value.length > 1 && value.startsWith('"') && value.endsWith('"')
  return { name: text.slice(0, equals).trim(), value: isQuoted ? value.slice(1, -1) : value }
}
