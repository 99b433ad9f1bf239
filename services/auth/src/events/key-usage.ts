import { randomBytes } from 'node:crypto'
import { newId } from '@instatunnel/kit/id'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { publishEvent } from '@instatunnel/kit/publisher'
import { KeyUsage, type KeyUsage_Use } from '@instatunnel/proto/events/v1/events'

const FLUSH_MS = 1000
// Small enough that writing it holds no call up.
const MAX_KEYS_PER_BATCH = 1000

/** Counts the uses of keys and tells them in batches, so that no call waits for a write. */
export interface KeyUsageTeller {
  /** Counts one use of a key, by its old secret where that has been replaced. */
  used(key: { readonly id: string; readonly deprecatedAt?: Date | undefined }, now: Date): void
  /** Tells what is left and stops. */
  close(): Promise<void>
}

/** Tells `usage.key` once a second; a batch that NATS did not take is told again under its own id. */
export function startKeyUsage(options: { nats: Nats; log: Logger; now: () => Date }): KeyUsageTeller {
  const { nats, log, now } = options
  // While NATS is away uses gather here: one entry a key, however many.
  const gathered = new Map<string, KeyUsage_Use>()
  let untold: { id: string; time: Date; uses: KeyUsage_Use[] } | undefined
  let telling = Promise.resolve()

  const nextBatch = () => {
    const uses: KeyUsage_Use[] = []
    for (const [keyId, use] of gathered) {
      if (uses.length === MAX_KEYS_PER_BATCH) break
      uses.push(use)
      gathered.delete(keyId)
    }
    return uses.length === 0 ? undefined : { id: newId('evt_', now(), randomBytes), time: now(), uses }
  }
  const tellBatch = async (): Promise<boolean> => {
    untold ??= nextBatch()
    if (!untold) return false
    const { id, time, uses } = untold
    const data = KeyUsage.toJSON({ uses }) as object
    try {
      await publishEvent(nats, 'auth', { id, type: 'usage.key', subject: 'keys', time, data })
      untold = undefined
      return uses.length === MAX_KEYS_PER_BATCH
    } catch (error) {
      log.warn({ cause: String(error) }, 'key usage waits')
      return false
    }
  }
  const tell = async () => {
    while (await tellBatch());
  }
  const timer = setInterval(() => {
    telling = telling.then(tell)
  }, FLUSH_MS)

  return {
    used({ id: keyId, deprecatedAt }, at) {
      let use = gathered.get(keyId)
      if (!use) {
        use = { keyId, count: 0, last: at, lastWithOldSecret: undefined }
        gathered.set(keyId, use)
      }
      use.count++
      use.last = at
      if (deprecatedAt) use.lastWithOldSecret = at
    },
    async close() {
      clearInterval(timer)
      const last = telling.then(tell).then(tell)
      await Promise.race([last, new Promise((resolve) => setTimeout(resolve, 1000).unref())])
    },
  }
}
