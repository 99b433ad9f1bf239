import { status } from '@grpc/grpc-js'
import type { ServiceClient } from '@instatunnel/kit/client'
import { reasonIn } from '@instatunnel/kit/status'
import type {
  KeyDirectoryServiceService,
  LeaseUsesResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { refuseAll, wentBack } from './domain/lease-ends.ts'
import { lose, park, renew } from './domain/lease-held.ts'
import { type LeaseTalk, messageOf, nextRequest, serve } from './domain/lease-talk.ts'

/** The rpcs of keys that leases are settled by: of one key, of many. */
export type LeaseClient = Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'leaseUses' | 'settleUses'>

/** What is asked of keys, and what its answers make of leases. Rejects as keys refuses. */
export interface LeaseExchange {
  /** The next request about a lease, or again the one that was not answered: who waits is served, or refused. */
  ask(talk: LeaseTalk): Promise<void>
  /** Gives back what is left of all these, by one request. */
  settle(talks: readonly LeaseTalk[]): Promise<void>
}

/** What an exchange stands on. */
export interface LeaseExchangeOptions {
  readonly keys: LeaseClient
  readonly replica: string
  readonly now: () => Date
  /** Keys said that nothing is left of a key. */
  readonly refused: (keyId: string, answer: LeaseUsesResponse) => void
}

/** Creates the exchange of a replica; its requests count up. */
export function createLeaseExchange(options: LeaseExchangeOptions): LeaseExchange {
  const { keys, replica: holder, refused } = options
  const now = () => options.now().getTime()
  let turn = 0
  return {
    async ask(talk) {
      talk.request ??= nextRequest(talk, ++turn, now())
      const { request, keyId } = talk
      const askedAt = now()
      const message = messageOf(request, { keyId, holder, time: askedAt })
      const answer = await askTwice(() => keys.leaseUses(message))
      talk.request = undefined
      talk.answer = answer
      renew(talk, answer, askedAt)
      if (request.isBack) wentBack(talk)
      if (request.isStale) return park(talk)
      serve(talk, now())
      if (answer.code === '' || request.wanted === 0) return
      refused(keyId, answer)
      refuseAll(talk, answer)
    },
    async settle(talks) {
      const time = now()
      const settlements = talks.map((talk) => {
        talk.request ??= nextRequest(talk, ++turn, time, true)
        return messageOf(talk.request, { keyId: talk.keyId, holder, time })
      })
      const { lost } = await askTwice(() => keys.settleUses({ holder, settlements }))
      const losses = new Set(lost)
      for (const [i, talk] of talks.entries()) {
        if (losses.has(i)) lose(talk)
        talk.request = undefined
      }
    },
  }
}

/** Asks once more where the answer was lost on its way: another replica of keys may be there. */
async function askTwice<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const { code, metadata } = error as { code?: unknown; metadata?: Parameters<typeof reasonIn>[0] }
    const isSaidByKeys = metadata !== undefined && reasonIn(metadata) !== undefined
    if (code !== status.UNAVAILABLE || isSaidByKeys) throw error
    return ask()
  }
}
