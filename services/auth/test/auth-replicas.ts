import { randomBytes } from 'node:crypto'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { freshDatabase } from '@instatunnel/test/database'
import { type StartedAuth, startAuth } from './start-auth.ts'

/** Starts so many replicas on one database, and waits until each knows of every other. */
export async function startAuthReplicas(
  count: number,
  settings: Readonly<Record<string, string>>,
): Promise<StartedAuth[]> {
  const shared = {
    ...settings,
    DATABASE_URL: await freshDatabase(),
    AUTH_SECRET: randomBytes(32).toString('base64'),
  }
  const started = await Promise.all(Array.from({ length: count }, () => startAuth(shared)))
  await knowOneAnother(started)
  return started
}

async function knowOneAnother(replicas: readonly StartedAuth[]): Promise<void> {
  const { NATS_URL: url = '', NATS_SEED: seed } = replicas[0]?.environment ?? {}
  const nats = connectNats({ url, seed, name: 'auth-test', log: createLog('test', 'silent') })
  const { connection } = await nats.ready
  const said = new Map<string, number>()
  for await (const message of connection.subscribe('instatunnel.auth.here')) {
    // A replica listens before it speaks: once all have spoken, what each says next is heard by all.
    const name = message.string()
    if (said.size === replicas.length || !said.has(name)) said.set(name, (said.get(name) ?? 0) + 1)
    if (said.size === replicas.length && [...said.values()].every((times) => times > 2)) break
  }
  await nats.close()
}
