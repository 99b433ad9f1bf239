import type { NatsConnection } from '@nats-io/transport-node'

/** Whether NATS is connected. */
export interface Presence {
  isThere(): boolean
  /** Resolves when it is there, or was stopped waiting for. */
  there(): Promise<void>
  stop(): void
}

/** Follows a connection that is there now; `changed` is called whenever it goes and comes back. */
export function followPresence(connection: NatsConnection, changed: (isThere: boolean) => void): Presence {
  let isThere = true
  let stopped = false
  let wake = () => {}
  const follow = async () => {
    for await (const { type } of connection.status()) {
      if (stopped) return
      if (type !== 'disconnect' && type !== 'reconnect') continue
      isThere = type === 'reconnect'
      changed(isThere)
      if (isThere) wake()
    }
  }
  follow()
  return {
    isThere: () => isThere,
    there: () =>
      isThere || stopped
        ? Promise.resolve()
        : new Promise((resolve) => {
            wake = resolve
          }),
    stop() {
      stopped = true
      wake()
    },
  }
}
