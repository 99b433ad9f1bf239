import { unmappedAddress } from '@instatunnel/kit/network'
import { isOwnCookie, mayOwnCookieBeIn } from '@instatunnel/kit/own-cookie'
import { isBeyondSite } from './beyond-site.ts'

/**
 * Heads as they stand in frames: a request is `METHOD LF target`, an answer `status LF reason`, and both go on with
 * `LF name LF value` for each header, in order and repeated as they came. No part of a valid head holds a line feed.
 */

/** What the relay says about a visitor to the local server, in place of whatever the request says. */
export interface Visitor {
  readonly address: string
  /** http or https. */
  readonly proto: string
  /** The host as the visitor wrote it. */
  readonly host: string
}

/** What a request's head needs beside the request itself. */
export interface RequestHead {
  readonly method: string
  readonly target: string
  /** Names and values in turns, as node:http has them. */
  readonly rawHeaders: readonly string[]
  readonly visitor: Visitor
  /** The protocol that the visitor asks to switch to. */
  readonly upgrade?: string | undefined
  /** True where a body of unknown length follows. */
  readonly chunked: boolean
}

// Meant for the next hop alone (RFC 9110, section 7.6.1), or ours to say.
const DROPPED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'transfer-encoding',
  'te',
  'upgrade',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
])

const isDropped = (name: string) =>
  DROPPED.has(name) || (name.startsWith('x-') && /^x-(instatunnel|envoy)-/.test(name))

// CGI, WSGI and Rack take X_Real_Ip and X-Real-IP for one name: what the gateway says, nobody says in that spelling.
const isDisguised = (name: string) => {
  if (!name.includes('_')) return false
  const plain = name.replaceAll('_', '-')
  return isDropped(plain) || plain === 'x-real-ip' || plain === 'forwarded'
}

/** The head that goes to the agent: what is between visitor and local server only, and who the visitor is. */
export function requestHead({ method, target, rawHeaders, visitor, upgrade, chunked }: RequestHead): string {
  let head = `${method}\n${target}`
  const named = namedByConnection(rawHeaders)
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    const lower = name.toLowerCase()
    if (isDropped(lower) || isDisguised(lower) || named?.has(lower)) {
      if (lower === 'te' && value.toLowerCase().includes('trailers')) head += '\nte\ntrailers'
      continue
    }
    if (lower === 'cookie') {
      const cookies = withoutOurs(value)
      if (cookies !== '') head += `\n${name}\n${cookies}`
      continue
    }
    // By the gateway, which writes an IPv4 client as IPv6 where that is how it connected.
    head += `\n${name}\n${lower === 'x-real-ip' ? unmappedAddress(value) : value}`
  }
  if (upgrade !== undefined) head += `\nconnection\nupgrade\nupgrade\n${upgrade}`
  if (chunked) head += '\ntransfer-encoding\nchunked'
  return `${head}\nx-forwarded-for\n${unmappedAddress(visitor.address)}\nx-forwarded-proto\n${visitor.proto}\nx-forwarded-host\n${visitor.host}`
}

/** An answer as the agent tells it. */
export interface AnswerHead {
  readonly status: number
  readonly reason: string
  /** Names and values in turns; what only we may say, or only one hop may hear, is left out. */
  readonly headers: readonly string[]
  /** What the body's length is said to be; of an answer to HEAD, and of a 304, that of another one. */
  readonly contentLength: number | undefined
  /** True where no body follows. */
  readonly isBodiless: boolean
  /** The protocol that is switched to. */
  readonly upgrade: string | undefined
}

// More than this the gateway does not take from anybody.
const MAX_HEADERS = 900
// RFC 9112, section 4: a parser takes others too, and who writes them must not.
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * Reads an answer's head; undefined where it is none that may be passed on. `domain` is ours: no site acts on it.
 * `method` is what was asked by: after a HEAD comes no body, whatever the head says.
 */
export function readAnswer(text: string, domain: string, method: string): AnswerHead | undefined {
  const lines = text.split('\n')
  const [code = '', reason = ''] = lines
  if (!/^[1-9]\d\d$/.test(code) || lines.length % 2 === 1 || lines.length > 2 * MAX_HEADERS) return undefined
  if (!REASON.test(reason)) return undefined
  const status = Number(code)
  // In a 204 and before the answer itself a length is none (RFC 9110, section 8.6).
  const hasLength = status >= 200 && status !== 204
  const isBodiless = method === 'HEAD' || status === 204 || status === 304
  const headers: string[] = []
  const named = namedByConnection(lines, 2)
  let length: [name: string, value: string] | undefined
  let upgrade: string | undefined
  let trailerAt = -1
  for (let i = 2; i < lines.length; i += 2) {
    const name = lines[i] as string
    const value = lines[i + 1] as string
    const lower = name.toLowerCase()
    if (lower === 'upgrade') upgrade = value
    if (isDropped(lower) || named?.has(lower)) continue
    if (isBeyondSite(lower, value, domain)) continue
    if (lower === 'content-length') {
      // Two lengths, or one that is none: where the answer ends would be anybody's guess (RFC 9112, section 6.3).
      if (length !== undefined || !/^\d{1,15}$/.test(value)) return undefined
      length = [name, value]
      continue
    }
    if (lower === 'trailer') trailerAt = headers.length
    headers.push(name, value)
  }
  // Node refuses to announce trailers that cannot come.
  if (trailerAt !== -1 && (isBodiless || length)) headers.splice(trailerAt, 2)
  // It comes last: a Content-Disposition behind it Node takes for UTF-8, and not every one is.
  if (length && hasLength) headers.push(...length)
  return {
    status,
    reason,
    headers,
    isBodiless,
    contentLength: length && hasLength ? Number(length[1]) : undefined,
    upgrade,
  }
}

// What trailers may not say (RFC 9110, section 6.5.1): where a message ends and goes, and who somebody is.
const NO_TRAILERS: ReadonlySet<string> = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'host',
  'set-cookie',
  'trailer',
])

/** Trailers that may be passed on, as names and values in turns. */
export function passedTrailers(lines: readonly string[]): [name: string, value: string][] {
  const trailers: [string, string][] = []
  for (let i = 0; i < lines.length; i += 2) {
    const [name, value] = [lines[i] as string, lines[i + 1] as string]
    const lower = name.toLowerCase()
    if (isDropped(lower) || NO_TRAILERS.has(lower) || isBeyondSite(lower, value, '')) continue
    trailers.push([name, value])
  }
  return trailers
}

/** Reads trailers, those that may be passed on; undefined where they are none. */
export function readTrailers(text: string): [name: string, value: string][] | undefined {
  const lines = text === '' ? [] : text.split('\n')
  return lines.length % 2 === 1 ? undefined : passedTrailers(lines)
}

/** The headers that Connection names, where it names any but the usual. */
function namedByConnection(rawHeaders: readonly string[], from = 0): Set<string> | undefined {
  let named: Set<string> | undefined
  for (let i = from; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    for (const token of (rawHeaders[i + 1] as string).toLowerCase().split(',')) {
      const option = token.trim()
      if (option === 'close' || option === 'keep-alive' || option === 'upgrade' || option === '') continue
      named ??= new Set()
      named.add(option)
    }
  }
  return named
}

/**
 * Cookies without those of the API. Browsers keep them from other hosts; a visitor who sends one here all the same must
 * not lose it to the site. A site's own cookies pass as they are, also those named like ours.
 */
function withoutOurs(cookies: string): string {
  if (!mayOwnCookieBeIn(cookies)) return cookies
  const all = cookies.split(';')
  const passed = all.map(partWithoutOurs).filter((part) => part !== undefined)
  return passed.length === all.length && passed.every((part, at) => part === all[at])
    ? cookies
    : passed.join(';').trimStart()
}

/** One cookie, or several that a proxy has joined with commas as auth reads them, without ours; undefined where none is left. */
function partWithoutOurs(part: string): string | undefined {
  if (!mayOwnCookieBeIn(part)) return part
  const passed = part.split(',').filter((cookie) => !isOwnCookie(cookie))
  return passed.length === 0 ? undefined : passed.join(',')
}
