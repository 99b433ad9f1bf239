import { rateLimited } from '@instatunnel/kit/rate'

const WINDOW_MS = 60 * 60 * 1000

/**
 * When a tunnel's token was regenerated within the last hour, now included. Refuses where that would be more than
 * `limit` times: in no hour, wherever it begins, are there more.
 */
export function regenerationsWith(now: Date, earlier: readonly Date[], limit: number): Date[] {
  const recent = earlier.filter((time) => time.getTime() > now.getTime() - WINDOW_MS)
  // Counted from the end: there are more than `limit` where the limit has just been lowered.
  const inTheWay = recent.at(-limit)
  if (recent.length < limit || !inTheWay) return [...recent, now]
  const resetSeconds = Math.ceil((inTheWay.getTime() + WINDOW_MS - now.getTime()) / 1000)
  const times = limit === 1 ? 'once' : `${limit} times`
  const message = `A tunnel's token can be regenerated ${times} an hour; try again later`
  throw rateLimited({ limit, remaining: 0, resetSeconds }, message)
}
