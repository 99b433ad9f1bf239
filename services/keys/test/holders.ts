import { newId } from '@instatunnel/kit/id'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { announceReplica, answerAsked } from '@instatunnel/kit/replicas'
import type { LeaseUsesRequest } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type { FreshNats } from '@instatunnel/test/nats'
import { refusedOf } from '@instatunnel/test/refused'
import { expect, onTestFinished } from 'vitest'
import { made } from './made.ts'
import type { StartedKeys } from './start-keys.ts'

const log = createLog('auth', 'silent')
let turn = 0

/** The name of a replica that no other has. */
export const newHolder = () => newId('auth_', new Date())

/** A request of a holder: for one use, with nothing to settle, unless said otherwise. */
export const asking = (holder: string, keyId: string, rest: Partial<LeaseUsesRequest> = {}) => ({
  ...{ holder, keyId, turn: ++turn, wanted: 1, used: [], returned: 0, kept: 0 },
  ...rest,
})

/** Has a holder live on NATS until it leaves; it answers recalls by what `settle` does, and not at all where that rejects. */
export function liveHolder(
  nats: Pick<FreshNats, 'url' | 'seeds'>,
  holder: string,
  settle: (keyId: string) => Promise<unknown>,
) {
  const recalled: string[] = []
  const connection = connectNats({ url: nats.url, seed: nats.seeds.auth, name: 'auth', log })
  const announced = announceReplica({ nats: connection, log, service: 'auth', replica: holder })
  const answering = answerAsked({
    nats: connection,
    log,
    subject: 'instatunnel.auth.recall',
    async answer(request) {
      const { key, holders } = request as { key: string; holders: string[] }
      if (!holders.includes(holder)) return undefined
      recalled.push(key)
      await settle(key)
      return { replica: holder }
    },
  })
  const leave = async () => {
    answering.close()
    await announced.close()
    await connection.close()
  }
  onTestFinished(leave)
  return { recalled, leave }
}

/** Resolves when keys knows that a holder lives: it asks that one for what it holds. */
export async function untilHeard(
  keys: StartedKeys,
  { lease, recalled }: { lease: (keyId: string) => Promise<unknown>; recalled: readonly string[] },
): Promise<void> {
  const user = keys.user({ role: 'admin' })
  const isAsked = async () => {
    const { id } = await made(user, { remaining: 1 })
    await lease(id)
    await keys.directory.leaseUses(asking(newHolder(), id)).catch(() => {})
    return recalled.includes(id)
  }
  await expect.poll(isAsked, { timeout: 10_000 }).toBe(true)
}

/** Resolves when keys knows which replicas of auth live: it forfeits what one holds that does not. */
export async function untilRecalling(keys: StartedKeys): Promise<void> {
  const { id } = await made(keys.user({ role: 'admin' }), { remaining: 1 })
  await keys.directory.leaseUses(asking(newHolder(), id))
  const tell = () =>
    keys.directory.leaseUses(asking(newHolder(), id)).then(
      ({ code }) => code,
      (error) => refusedOf(error).code,
    )
  await expect.poll(tell, { timeout: 10_000 }).toBe('USAGE_EXCEEDED')
}
