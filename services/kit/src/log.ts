import { type DestinationStream, pino } from 'pino'

export type { Logger } from 'pino'

// What Postgres adds to an error: the values of the row at fault, which may be anything that a service keeps.
const ROW_VALUES = ['detail', 'where', 'query', 'parameters', 'args', 'internal_query']

/** A service's log: JSON lines on standard output. Whole requests are never logged: ids, reasons and durations are. */
export const createLog = (service: string, level: string, destination?: DestinationStream) =>
  pino(
    {
      level,
      base: { service },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: withoutRowValues },
    },
    destination as DestinationStream,
  )

function withoutRowValues(error: Error): object {
  const entries = Object.entries(pino.stdSerializers.err(error))
  return Object.fromEntries(entries.filter(([name]) => !ROW_VALUES.includes(name)))
}
