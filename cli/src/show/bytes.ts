const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** "2.4 GB": in powers of a thousand, with one decimal. */
export function bytesOf(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${UNITS[unit]}`
}
