const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Each is used from two of it on: "36 h" says more than "2 d". */
const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ['years', 365 * DAY_MS],
  ['months', 30 * DAY_MS],
  ['d', DAY_MS],
  ['h', HOUR_MS],
  ['min', MINUTE_MS],
  ['s', 1000],
]

/** "3 min ago", "in 30 d", "now": a time of the API as seen from another, so precise as people care. */
export function relative(time: string, now = Date.now()): string {
  const ms = Date.parse(time) - now
  const away = Math.abs(ms)
  if (away < 1000) return 'now'
  const [name, unit] = UNITS.find(([, one]) => away >= 2 * one) ?? ['s', 1000]
  const amount = `${Math.round(away / unit)} ${name}`
  return ms < 0 ? `${amount} ago` : `in ${amount}`
}
