import type { LeaseTalk } from './domain/lease-talk.ts'
import type { KeyLeases } from './key-leases.ts'

// So many keys go back in one request, and so many requests are under way: keys settles 25,000 a second so.
const KEYS_AT_ONCE = 250
const REQUESTS = 4

/** Gives back leases of many keys. */
export interface KeyReturns {
  /** Goes once through all leases; those that are due go back. Resolves when all are, or keys is away. */
  run(isDue: (talk: LeaseTalk) => boolean): Promise<void>
}

/** Creates the returns of these leases; one run follows another. */
export function createKeyReturns(leases: Pick<KeyLeases, 'all' | 'giveBack' | 'settle'>): KeyReturns {
  let last: Promise<unknown> = Promise.resolve()

  const returnSome = async (some: readonly LeaseTalk[]): Promise<boolean> => {
    const { together = [], alone = [] } = Object.groupBy(some, (talk) =>
      canSettleNow(talk) ? 'together' : 'alone',
    )
    const settled = together.length === 0 || (await leases.settle(together))
    // What is under way, or was not answered, comes first.
    await Promise.allSettled(alone.map(({ keyId }) => leases.giveBack(keyId)))
    return settled
  }
  const returnAll = async (due: Iterator<LeaseTalk>) => {
    for (;;) {
      const some = takeFrom(due, KEYS_AT_ONCE)
      if (some.length === 0 || !(await returnSome(some))) return
    }
  }
  return {
    run(isDue) {
      const run = last.then(() => {
        const due = dueOf(leases.all(), isDue)
        return Promise.all(Array.from({ length: REQUESTS }, () => returnAll(due)))
      })
      last = run
      return run.then(() => {})
    },
  }
}

const canSettleNow = ({ isAsking, request }: LeaseTalk) => !isAsking && (!request || request.wanted === 0)

function* dueOf(all: Iterable<LeaseTalk>, isDue: (talk: LeaseTalk) => boolean): Generator<LeaseTalk> {
  for (const talk of all) if (isDue(talk)) yield talk
}

function takeFrom(talks: Iterator<LeaseTalk>, most: number): LeaseTalk[] {
  const taken: LeaseTalk[] = []
  while (taken.length < most) {
    const { done, value } = talks.next()
    if (done) break
    taken.push(value)
  }
  return taken
}
