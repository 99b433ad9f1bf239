const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** "30 d", "90 min", "1500 ms": a length of time, exactly. */
export function interval(ms: number): string {
  const [name, unit] = UNITS.find(([, one]) => ms >= one && ms % one === 0) ?? ['ms', 1]
  return `${ms / unit} ${name}`
}
