import { Refusal } from './refusal.ts'

/** What a window that counts calls still admits. */
export interface Rate {
  readonly limit: number
  readonly remaining: number
  /** Seconds until a place is free where none is, otherwise until the oldest counted call leaves the window. */
  readonly resetSeconds: number
}

/** The headers that tell a rate. */
export const rateHeaders = (rate: Rate): Readonly<Record<string, string>> => ({
  'ratelimit-limit': String(rate.limit),
  'ratelimit-remaining': String(rate.remaining),
  'ratelimit-reset': String(rate.resetSeconds),
})

/** The refusal of a call that a window does not admit. */
export const rateLimited = (rate: Rate, message = 'API rate limit exceeded') =>
  new Refusal('RATE_LIMITED', message, { retryAfterSeconds: rate.resetSeconds, rate })
