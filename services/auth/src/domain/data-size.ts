const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Bytes for people: SI units with one decimal ("2.4 GB"), whole bytes below 1,000. */
export function dataSize(bytes: number): string {
  let value = bytes
  let unit = 0
  // 999.95 and more would be rounded to 1000.0 of its unit.
  while (value >= (unit === 0 ? 1000 : 999.95) && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}
