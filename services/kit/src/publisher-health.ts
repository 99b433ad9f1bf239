import type { Logger } from './log.ts'

/** Whether the events of an outbox are published. */
export interface PublisherHealth {
  /** The stream took events, or none waits. */
  succeeded(): void
  /** The stream took none of those that wait. */
  failed(cause: unknown): void
  /** Calls back with the state, at once and whenever it changes. */
  follow(changed: (isHealthy: boolean) => void): void
}

/** Healthy until no event was taken for this long: a NATS that restarts is back sooner. */
const UNHEALTHY_AFTER_MS = 10_000

/** Follows whether events are published, and says in the log when they are no longer, and when they are again. */
export function createPublisherHealth({
  log,
  unhealthyAfterMs = UNHEALTHY_AFTER_MS,
}: {
  log: Logger
  unhealthyAfterMs?: number | undefined
}): PublisherHealth {
  let failingSince: number | undefined
  let isHealthy = true
  const followers: ((isHealthy: boolean) => void)[] = []
  const set = (is: boolean) => {
    isHealthy = is
    for (const changed of followers) changed(is)
  }
  return {
    succeeded() {
      failingSince = undefined
      if (isHealthy) return
      log.info('events are published again')
      set(true)
    },
    failed(cause) {
      failingSince ??= performance.now()
      if (!isHealthy || performance.now() - failingSince < unhealthyAfterMs) return
      log.error(
        { cause: String(cause) },
        'NATS takes no events: it is away, or its streams are full or need a restart; events wait in the outbox',
      )
      set(false)
    },
    follow(changed) {
      followers.push(changed)
      changed(isHealthy)
    },
  }
}
