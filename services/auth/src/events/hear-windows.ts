import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { isSpoken } from '@instatunnel/kit/spoken'
import { readWindowMessage, type WindowMessage } from '../domain/window-message.ts'

/**
 * Hears what other replicas say on a subject, and which messages nobody heard: those that were sent with
 * `${inbox}.${id}` to answer to. `ready` gets the connection. Whatever else comes is passed over.
 */
export function hearWindows(options: {
  nats: Nats
  log: Logger
  subject: string
  inbox: string
  ready(connection: Awaited<Nats['ready']>['connection']): void
  hear(message: WindowMessage): void
  unheard(id: number): void
}): { close(): void } {
  const { nats, log, subject, inbox, ready, hear, unheard } = options
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
      const returned = connection.subscribe(`${inbox}.*`, {
        callback(_, message) {
          // NATS itself says so where nobody listens: who did is dead.
          if (message.headers?.code === 503) unheard(Number(message.subject.slice(inbox.length + 1)))
        },
      })
      stop = () => {
        heard.unsubscribe()
        returned.unsubscribe()
      }
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
