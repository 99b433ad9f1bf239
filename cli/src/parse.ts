import { readFileSync } from 'node:fs'
import { InvalidArgumentError } from 'commander'

/** A port of the command line. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('It must be a port, 1 to 65535.')
  return port
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A time from now, in seconds: "90", "15m", "12h", "30d". */
export function parseDuration(text: string): number {
  const seconds = secondsOf(text)
  if (!(seconds > 0))
    throw new InvalidArgumentError('It must be seconds, or a number with s, m, h or d: 30d.')
  return seconds
}

/** As parseDuration, or "0". */
export const parseGrace = (text: string): number => (text === '0' ? 0 : parseDuration(text))

/** How long a local server may take to answer, in seconds: as parseGrace, an hour at most. */
export function parseTimeout(text: string): number {
  const seconds = parseGrace(text)
  if (seconds > 3600) throw new InvalidArgumentError('It must be an hour at most, or 0 for no limit.')
  return seconds
}

/** As parseDuration, or "never". */
export const parseExpiry = (text: string): number | 'never' => (text === 'never' ? text : parseDuration(text))

/** The length of a window, in milliseconds: "90", "15m", "12h", "30d", and "500ms". */
export function parseInterval(text: string): number {
  const [, count] = /^(\d{1,12})ms$/.exec(text) ?? []
  const ms = count === undefined ? secondsOf(text) * 1000 : Number(count)
  if (!(ms > 0)) throw new InvalidArgumentError('It must be seconds, or a number with ms, s, m, h or d: 15m.')
  return ms
}

/** A whole number, as exact as the API's. */
export function parseCount(text: string): number {
  // As a double, the first number past 2^53 is 2^53.
  if (!/^\d{1,16}$/.test(text) || BigInt(text) > 2n ** 53n)
    throw new InvalidArgumentError('It must be a whole number, 0 to 2^53.')
  return Number(text)
}

/** A JSON object, or the one in a file: "@metadata.json". */
export function parseObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text.startsWith('@') ? readFileSync(text.slice(1), 'utf8') : text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // told below
  }
  throw new InvalidArgumentError('It must be a JSON object, or @ and the path of a file with one.')
}

const secondsOf = (text: string): number => {
  const [, count, unit] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? []
  return Number(count) * (unitSeconds[unit || 's'] ?? Number.NaN)
}

/** A list with commas, which may be given several times. */
export function parseList(text: string, before: readonly string[] = []): string[] {
  const named = text.split(',').filter((one) => one.trim() !== '')
  // To the API none may mean all, or nothing at all: an empty variable of a shell is to say neither.
  if (named.length === 0) throw new InvalidArgumentError('It must name at least one.')
  return [...before, ...named]
}
