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
  const [, count, unit = 's'] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? []
  const seconds = Number(count) * (unitSeconds[unit || 's'] ?? Number.NaN)
  if (!(seconds > 0))
    throw new InvalidArgumentError('It must be seconds, or a number with s, m, h or d: 30d.')
  return seconds
}

/** A list with commas, which may be given several times. */
export const parseList = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  ...text.split(',').filter((one) => one !== ''),
]
