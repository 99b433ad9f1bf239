import { randomBytes } from 'node:crypto'
import { freshDatabase } from '@instatunnel/test/database'
import { replicasMet } from '@instatunnel/test/replicas'
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
  const { NATS_URL: url = '', NATS_SEED: seed = '' } = started[0]?.environment ?? {}
  await replicasMet({ url, seed, count })
  return started
}
