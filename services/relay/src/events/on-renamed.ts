import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { answerAsked } from '@instatunnel/kit/replicas'
import { z } from 'zod'
import type { Renamed } from '../domain/renamed.ts'

const SUBJECT = 'instatunnel.relay.renamed'

const asked = z.object({
  tunnelId: z.string(),
  subdomain: z.string(),
  former: z.string(),
  at: z.iso.datetime().transform((text) => new Date(text)),
})

/** Answers whoever tells that a tunnel has another subdomain, once this relay goes by it. */
export const onRenamed = (options: {
  nats: Nats
  log: Logger
  relayId: string
  renamed: (renamed: Renamed) => void
}): { close(): void } =>
  answerAsked({
    ...options,
    subject: SUBJECT,
    answer(request) {
      options.renamed(asked.parse(request))
      return { relayId: options.relayId }
    },
  })
