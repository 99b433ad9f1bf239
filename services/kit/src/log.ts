import { pino } from 'pino'

export type { Logger } from 'pino'

/** A service's log: JSON lines on standard output. Whole requests are never logged: ids, reasons and durations are. */
export const createLog = (service: string, level: string) =>
  pino({
    level,
    base: { service },
    formatters: { level: (label) => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
  })
