import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { answerAsked } from '@instatunnel/kit/replicas'
import { z } from 'zod'

const SUBJECT = 'instatunnel.auth.recall'

const recall = z.object({ key: z.string(), holders: z.array(z.string()) })

/** Answers for a replica that is asked to settle what it holds of a key; what `settle` rejects with is no answer. */
export function onRecall(options: {
  nats: Nats
  log: Logger
  replica: string
  settle: (keyId: string) => Promise<void>
}): { close(): void } {
  const { replica, settle } = options
  return answerAsked({
    ...options,
    subject: SUBJECT,
    async answer(request) {
      const { key, holders } = recall.parse(request)
      if (!holders.includes(replica)) return undefined
      await settle(key)
      return { replica }
    },
  })
}
