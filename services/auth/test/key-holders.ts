import { answerEvictions } from '@instatunnel/kit/eviction'
import { newId } from '@instatunnel/kit/id'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { announceReplica } from '@instatunnel/kit/replicas'
import type { FreshNats } from '@instatunnel/test/nats'
import { onTestFinished } from 'vitest'
import type { Taken } from '../src/domain/key-use.ts'
import { onRecall } from '../src/events/on-recall.ts'
import { createKeyUses } from '../src/key-uses.ts'
import type { LeaseClient } from '../src/lease-exchange.ts'
import { away, keyOf } from './key-uses.ts'

const log = createLog('auth', 'silent')

/** A replica of auth, as far as it holds uses of keys: it lives on NATS until the test is over. */
export function startHolder(options: {
  nats: Pick<FreshNats, 'url' | 'seeds'>
  keys: LeaseClient
  now: () => Date
}) {
  const { nats, keys, now } = options
  const replica = newId('auth_', new Date())
  const connection = connectNats({ url: nats.url, seed: nats.seeds.auth, name: 'auth', log })
  let isDead = false
  const alive: LeaseClient = {
    leaseUses: (request) => (isDead ? Promise.reject(away()) : keys.leaseUses(request)),
    settleUses: (request) => (isDead ? Promise.reject(away()) : keys.settleUses(request)),
  }
  const uses = createKeyUses({ keys: alive, replica, now, forget: () => {} })
  const here = { nats: connection, log, replica }
  const forget = ({ keys: ids = [] }: { keys?: readonly string[] }) => ids.forEach(uses.evict)
  const recalled: string[] = []
  const open = [
    announceReplica({ ...here, service: 'auth' }),
    onRecall({
      ...here,
      settle(keyId) {
        recalled.push(keyId)
        return uses.recall(keyId)
      },
    }),
    answerEvictions({ ...here, forget }),
  ]
  onTestFinished(async () => {
    if (!isDead) await uses.close()
    for (const part of open) await part.close()
    await connection.close()
  })
  return {
    uses,
    /** What it was asked to settle. */
    recalled,
    /** Takes one use of a key. */
    take: async (id: string): Promise<Taken> => uses.take(keyOf(id), now()),
    /** Is heard of no more, and settles nothing, as one that was killed. */
    async kill() {
      isDead = true
      await connection.close()
    },
  }
}

/** How many of these were admitted. */
export const admittedOf = (taken: readonly (Taken | undefined)[]) =>
  taken.filter((one) => one?.code === 'VALID').length
