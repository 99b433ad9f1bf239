import { type GoawayReason, isGoawayReason } from '@instatunnel/kit/goaway'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { z } from 'zod'

const SUBJECT = 'instatunnel.relay.cut'

const request = z.object({
  credentialType: z.string(),
  credentialId: z.string(),
  reason: z.string().refine(isGoawayReason),
  tokenGeneration: z.int().optional(),
})

/** What is to be cut: all that a credential holds; of a tunnel's token, where that came before `tokenGeneration`. */
export interface CutRequest {
  readonly credentialType: string
  readonly credentialId: string
  readonly reason: GoawayReason
  readonly tokenGeneration?: number | undefined
}

/** Answers whoever has connections cut: how many of this relay's were, for that credential, within the last seconds. */
export function onCut(options: {
  nats: Nats
  log: Logger
  relayId: string
  cut: (request: CutRequest) => number
}): { close(): Promise<void> } {
  const { nats, log, relayId, cut } = options
  // The client subscribes again by itself after NATS was away.
  const subscription = nats.ready.then(({ connection }) =>
    connection.subscribe(SUBJECT, {
      callback(error, message) {
        const asked = error ? undefined : request.safeParse(jsonIn(message))
        if (!asked?.success) {
          log.warn({ cause: String(error ?? 'no request') }, 'a cut that could not be read')
          return
        }
        const { data } = asked
        message.respond(
          JSON.stringify({ relayId, cut: cut({ ...data, reason: data.reason as GoawayReason }) }),
        )
      },
    }),
  )
  subscription.catch(() => {}) // closed before NATS was reached
  return {
    async close() {
      const subscribed = await Promise.race([subscription.catch(() => undefined), undefined])
      subscribed?.unsubscribe()
    },
  }
}

function jsonIn(message: { json(): unknown }): unknown {
  try {
    return message.json()
  } catch {
    return undefined
  }
}
