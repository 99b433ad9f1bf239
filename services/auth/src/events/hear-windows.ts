import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { isSpoken } from '@instatunnel/kit/spoken'
import { readWindowMessage, type WindowMessage } from '../domain/window-message.ts'

/** Hears what other replicas say on a subject; `ready` gets the connection. Whatever else comes there is passed over. */
export function hearWindows(options: {
  nats: Nats
  log: Logger
  subject: string
  ready(connection: Awaited<Nats['ready']>['connection']): void
  hear(message: WindowMessage): void
}): { close(): void } {
  const { nats, log, subject, ready, hear } = options
  let closed = false
  let stop = () => {}
  nats.ready.then(
    ({ connection }) => {
      if (closed) return
      // The client subscribes again by itself after NATS was away.
      const heard = connection.subscribe(subject, {
        callback(error, message) {
          try {
            if (error) throw error
            // Only auth may speak here.
            const said = isSpoken(message, subject) ? readWindowMessage(message.string()) : undefined
            if (said) hear(said)
          } catch (cause) {
            log.warn({ cause: String(cause), subject }, 'windows of other replicas are not heard')
          }
        },
      })
      stop = () => heard.unsubscribe()
      ready(connection)
    },
    () => {},
  )
  return {
    close() {
      closed = true
      stop()
    },
  }
}
