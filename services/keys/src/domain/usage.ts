import { isId } from '@instatunnel/kit/id'
import { KEY_ID } from './key.ts'

/** What one key admitted. */
export interface Use {
  readonly keyId: string
  readonly count: number
  readonly last: Date
  /** The last of them with the secret before the last rotation. */
  readonly lastWithOldSecret: Date | undefined
}

/** A batch as sums, one per key; what is no use of a key is left out. */
export function usesPerKey(uses: readonly ToldUse[]): Use[] {
  const sums = new Map<string, Use>()
  for (const { keyId, count, last, lastWithOldSecret } of uses) {
    if (!isId(keyId, KEY_ID) || !(count > 0 && count <= 2 ** 53) || !isTime(last)) continue
    const sum = sums.get(keyId)
    sums.set(keyId, {
      keyId,
      count: (sum?.count ?? 0) + count,
      last: later(sum?.last, last),
      lastWithOldSecret: isTime(lastWithOldSecret)
        ? later(sum?.lastWithOldSecret, lastWithOldSecret)
        : sum?.lastWithOldSecret,
    })
  }
  return [...sums.values()]
}

/** What a batch says of one key. */
interface ToldUse {
  readonly keyId: string
  readonly count: number
  readonly last?: Date | undefined
  readonly lastWithOldSecret?: Date | undefined
}

const isTime = (time: Date | undefined): time is Date => time !== undefined && !Number.isNaN(time.getTime())

const later = (one: Date | undefined, other: Date): Date => (one && one > other ? one : other)
