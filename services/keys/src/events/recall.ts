import type { Nats } from '@instatunnel/kit/jetstream'
import { askReplicas, type Replicas } from '@instatunnel/kit/replicas'
import type { Recall } from '../domain/lease-recall.ts'

const SUBJECT = 'instatunnel.auth.recall'
// A holder settles by one call of ours; a busy one is waited for as long as whoever is checked can be.
const WAIT_MS = 1000
// One that has just begun to hear who lives, waits until all have said so, which takes a second.
const CURRENT_MS = 1250

/** Creates the recall: replicas of auth that live are asked, those that do not are gone, and nobody is while NATS is away. */
export function createRecall(options: { nats: Nats; replicas: Replicas }): Recall {
  const { nats, replicas } = options
  return async (key, holders) => {
    if (!(await replicas.becomesCurrent(CURRENT_MS))) return { gone: [], silent: holders }
    const live = holders.filter((holder) => replicas.has(holder))
    const gone = holders.filter((holder) => !live.includes(holder))
    if (live.length === 0) return { gone, silent: [] }
    const request = { key, holders: live }
    const { acked } = await askReplicas({
      ...{ nats, follow: replicas, subject: SUBJECT, request, of: live, waitMs: WAIT_MS },
    })
    return { gone, silent: live.filter((holder) => !acked.includes(holder)) }
  }
}
