import { isId } from '@instatunnel/kit/id'
import { KEY_ID } from './key.ts'

/** What one key admitted. */
export interface Use {
  readonly keyId: string
  readonly count: number
  readonly last: Date
}

/** A batch as sums, one per key; what is no use of a key is left out. */
export function usesPerKey(uses: readonly { keyId: string; count: number; last: Date | undefined }[]): Use[] {
  const sums = new Map<string, Use>()
  for (const { keyId, count, last } of uses) {
    if (!isId(keyId, KEY_ID) || !(count > 0 && count <= 2 ** 53) || !last || Number.isNaN(last.getTime()))
      continue
    const sum = sums.get(keyId)
    const latest = sum && sum.last > last ? sum.last : last
    sums.set(keyId, { keyId, count: (sum?.count ?? 0) + count, last: latest })
  }
  return [...sums.values()]
}
