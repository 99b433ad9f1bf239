import { isId } from '@instatunnel/kit/id'

/** What passed through a user's tunnels. */
export interface UserTraffic {
  readonly userId: string
  readonly requests: number
  readonly bytes: number
}

/**
 * The sums per user, in the order of their ids, so that two batches lock rows in one order. What is no amount or no
 * user counts for nothing: a batch that could never be stored would hold up all that come after it.
 */
export function trafficPerUser(uses: readonly UserTraffic[]): UserTraffic[] {
  const sums = new Map<string, UserTraffic>()
  for (const { userId, requests, bytes } of uses) {
    if (!isUser(userId)) continue
    const sum = sums.get(userId) ?? { userId, requests: 0, bytes: 0 }
    sums.set(userId, {
      userId,
      requests: sum.requests + amountOf(requests),
      bytes: sum.bytes + amountOf(bytes),
    })
  }
  return [...sums.values()].sort((a, b) => (a.userId < b.userId ? -1 : 1))
}

/** True for what may be a user's id. */
export const isUser = (text: string) => isId(text, 'user_')

/** A count as it was told; 0 for what is none. */
export const amountOf = (value: number) => (Number.isSafeInteger(value) && value > 0 ? value : 0)
