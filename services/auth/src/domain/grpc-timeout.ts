/** How many milliseconds a unit of grpc-timeout has. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/**
 * The milliseconds that a caller waits, from its grpc-timeout: Infinity where it does not say, undefined where what it says
 * is none (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
 */
export function timeoutOf(text: string | readonly string[] | undefined): number | undefined {
  if (text === undefined) return Number.POSITIVE_INFINITY
  const [, digits, unit] = (typeof text === 'string' && /^(\d{1,8})([HMSmun])$/.exec(text)) || []
  return unit === undefined ? undefined : Number(digits) * (UNITS[unit] as number)
}
