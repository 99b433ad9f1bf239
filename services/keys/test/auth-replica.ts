import { answerEvictions, type Evicted } from '@instatunnel/kit/eviction'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { announceReplica } from '@instatunnel/kit/replicas'
import type { FreshNats } from '@instatunnel/test/nats'
import { onTestFinished } from 'vitest'

/** A replica of auth that lives until the test is over. */
export interface AuthReplica {
  /** What it was told to forget. */
  readonly forgotten: Evicted[]
  /** Done before it says that it has forgotten; what is thrown keeps it from saying so. */
  onForget: () => void
}

/** Has a replica of this name live on a NATS server. */
export function startReplica(nats: Pick<FreshNats, 'url' | 'seeds'>, replica: string): AuthReplica {
  const log = createLog('auth', 'silent')
  const connection = connectNats({ url: nats.url, seed: nats.seeds.auth, name: 'auth', log })
  const started: AuthReplica = { forgotten: [], onForget: () => {} }
  const forget = (what: Evicted) => {
    started.forgotten.push(what)
    started.onForget()
  }
  const answering = answerEvictions({ nats: connection, log, replica, forget })
  const announced = announceReplica({ nats: connection, log, service: 'auth', replica })
  onTestFinished(async () => {
    answering.close()
    await announced.close()
    await connection.close()
  })
  return started
}
