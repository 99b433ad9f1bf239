import { type GoawayReason, isGoawayReason } from '@instatunnel/kit/goaway'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { answerAsked } from '@instatunnel/kit/replicas'
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
export const onCut = (options: {
  nats: Nats
  log: Logger
  relayId: string
  cut: (request: CutRequest) => number
}): { close(): void } =>
  answerAsked({
    ...options,
    subject: SUBJECT,
    answer: (request) => ({ relayId: options.relayId, cut: options.cut(asked.parse(request)) }),
  })
