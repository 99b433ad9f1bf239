import { connect } from '@nats-io/transport-node'
import { natsUser } from './nats-user.ts'

/** Resolves when so many replicas of auth live, and each knows of every other. `seed` is auth's. */
export async function replicasMet({
  url,
  seed,
  count,
}: {
  url: string
  seed: string
  count: number
}): Promise<void> {
  const connection = await connect(natsUser('auth', url, seed))
  const said = new Map<string, number>()
  for await (const message of connection.subscribe('instatunnel.auth.here')) {
    // A replica listens before it speaks: once all have spoken, what each says next is heard by all. Whoever speaks for
    // the second time after that has been heard.
    const name = message.string()
    if (said.size === count || !said.has(name)) said.set(name, (said.get(name) ?? 0) + 1)
    if (said.size === count && [...said.values()].every((times) => times > 2)) break
  }
  await connection.close()
}
