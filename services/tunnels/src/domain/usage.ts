import { isId } from '@instatunnel/kit/id'

/** What passed through a user's tunnels. */
export interface Traffic {
  readonly userId: string
  readonly requests: number
  readonly bytes: number
}

/**
 * The sums per user, in the order of their ids, so that two batches lock rows in one order. What is no amount or no
 * user counts for nothing: a batch that could never be stored would hold up all that come after it.
 */
export function trafficPerUser(uses: readonly Traffic[]): Traffic[] {
  const sums = new Map<string, Traffic>()
  for (const { userId, requests, bytes } of uses) {
    if (!isId(userId, 'user_')) continue
    const sum = sums.get(userId) ?? { userId, requests: 0, bytes: 0 }
    sums.set(userId, {
      userId,
      requests: sum.requests + amountOf(requests),
      bytes: sum.bytes + amountOf(bytes),
    })
  }
  return [...sums.values()].sort((a, b) => (a.userId < b.userId ? -1 : 1))
}

const amountOf = (value: number) => (Number.isSafeInteger(value) && value > 0 ? value : 0)
