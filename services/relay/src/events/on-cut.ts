import { type GoawayReason, isGoawayReason } from '@instatunnel/kit/goaway'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { z } from 'zod'

const SUBJECT = 'instatunnel.relay.cut'

const asked = z.object({
  credentialType: z.string(),
  credentialId: z.string(),
  reason: z.custom<GoawayReason>((reason) => typeof reason === 'string' && isGoawayReason(reason)),
  tokenGeneration: z.int().optional(),
})

/** What is to be cut: all that a credential holds; of a tunnel's token, where that came before `tokenGeneration`. */
export type CutRequest = Readonly<z.infer<typeof asked>>

/** Answers whoever has connections cut: how many of this relay's were, for that credential, within the last seconds. */
export function onCut(options: {
  nats: Nats
  log: Logger
  relayId: string
  cut: (request: CutRequest) => number
}): { close(): void } {
  const { nats, log, relayId, cut } = options
  let stop: (() => void) | undefined
  let closed = false

  nats.ready.then(
    ({ connection }) => {
      if (closed) return
      // The client subscribes again by itself after NATS was away.
      const subscription = connection.subscribe(SUBJECT, {
        callback(error, message) {
          try {
            if (error) throw error
            const answer = { relayId, cut: cut(asked.parse(message.json())) }
            message.respond(JSON.stringify(answer))
          } catch (error) {
            log.warn({ cause: String(error) }, 'a cut that could not be made')
          }
        },
      })
      stop = () => subscription.unsubscribe()
    },
    () => {},
  )
  return {
    close() {
      closed = true
      stop?.()
    },
  }
}
