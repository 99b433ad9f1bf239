import { randomBytes } from 'node:crypto'
import { newId } from '@instatunnel/kit/id'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { publishEvent } from '@instatunnel/kit/publisher'
import { KeyUsage, type KeyUsage_Use } from '@instatunnel/proto/events/v1/events'

const FLUSH_MS = 1000
// While NATS is away uses gather here; past so many keys the batch is still one message under NATS's 1 MiB.
const MAX_KEYS_PER_BATCH = 5000

/** Counts the uses of keys and tells them in batches, so that no call waits for a write. */
export interface KeyUsageTeller {
  /** Counts one use. */
  used(keyId: string, now: Date): void
  /** Tells what is left and stops. */
  close(): Promise<void>
}

/** Tells `usage.key` once a second; a batch that NATS did not take is told again under its own id. */
export function startKeyUsage(options: { nats: Nats; log: Logger; now: () => Date }): KeyUsageTeller {
  const { nats, log, now } = options
  let gathered = new Map<string, KeyUsage_Use>()
  let untold: { id: string; time: Date; uses: KeyUsage_Use[] } | undefined
  let telling = Promise.resolve()

  const nextBatch = () => {
    if (gathered.size === 0) return undefined
    const uses = [...gathered.values()]
    gathered = new Map(uses.slice(MAX_KEYS_PER_BATCH).map((use) => [use.keyId, use]))
    return { id: newId('evt_', now(), randomBytes), time: now(), uses: uses.slice(0, MAX_KEYS_PER_BATCH) }
  }
  const tell = async () => {
    untold ??= nextBatch()
    if (!untold) return
    const { id, time, uses } = untold
    const data = KeyUsage.toJSON({ uses }) as object
    try {
      await publishEvent(nats, 'auth', { id, type: 'usage.key', subject: 'keys', time, data })
      untold = undefined
    } catch (error) {
      log.warn({ cause: String(error) }, 'key usage waits')
    }
  }
  const timer = setInterval(() => {
    telling = telling.then(tell)
  }, FLUSH_MS)

  return {
    used(keyId, at) {
      const use = gathered.get(keyId)
      if (!use) gathered.set(keyId, { keyId, count: 1, last: at })
      else {
        use.count++
        use.last = at
      }
    },
    async close() {
      clearInterval(timer)
      const last = telling.then(tell).then(tell)
      await Promise.race([last, new Promise((resolve) => setTimeout(resolve, 1000).unref())])
    },
  }
}
