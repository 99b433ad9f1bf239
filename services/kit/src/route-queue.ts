import type { OpenBucket } from './relay-beacon.ts'

// So many answers of NATS may be outstanding.
const AT_ONCE = 128

/** Something to be done in the bucket. */
export interface BucketTask {
  run(bucket: OpenBucket): Promise<void>
  /** False where it need not be done any more. */
  isWanted(): boolean
}

/** Does what is added, in turn and many at once, whenever there is a bucket; again what failed. */
export interface BucketQueue {
  add(task: BucketTask): void
  /** Goes on where there is a bucket again. */
  work(): void
  /** Forgets what need not be done any more. */
  sweep(): void
}

/** `bucket` is undefined where all would be in vain; `doubt` is told what failed. */
export function createBucketQueue(options: {
  bucket: () => OpenBucket | undefined
  doubt: (error: unknown) => void
}): BucketQueue {
  const { bucket, doubt } = options
  const waiting = new Set<BucketTask>()
  let working = 0

  const begin = (): Promise<void> | undefined => {
    const open = bucket()
    if (!open) return undefined
    for (const task of waiting) {
      waiting.delete(task)
      if (!task.isWanted()) continue
      return task.run(open).catch((error) => {
        if (task.isWanted()) waiting.add(task)
        doubt(error)
      })
    }
    return undefined
  }
  const work = () => {
    while (working < AT_ONCE) {
      const begun = begin()
      if (!begun) return
      working++
      begun.finally(() => {
        working--
        work()
      })
    }
  }
  return {
    add(task) {
      waiting.add(task)
      work()
    },
    work,
    sweep() {
      for (const task of waiting) if (!task.isWanted()) waiting.delete(task)
    },
  }
}
