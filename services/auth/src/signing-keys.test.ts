import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { connectPostgres, migrate } from '@instatunnel/kit/postgres'
import { freshDatabase } from '@instatunnel/test/database'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSigningKeys } from './signing-keys.ts'

const MIGRATIONS = fileURLToPath(new URL('./store/migrations/', import.meta.url))

async function openSchema() {
  const sql = connectPostgres({ url: await freshDatabase(), schema: 'auth', connections: 8 })
  onTestFinished(() => sql.end({ timeout: 1 }))
  await migrate(sql, { schema: 'auth', folders: [MIGRATIONS] })
  await Promise.all(Array.from({ length: 8 }, () => sql`select pg_sleep(0.05)`)) // all eight are connected
  return sql
}

describe('openSigningKeys', () => {
  it('makes one key for each purpose, where eight replicas start at once, and all sign with the same', async () => {
    const sql = await openSchema()
    const options = { sql, secret: randomBytes(32), now: () => new Date(), random: randomBytes }
    const replicas = await Promise.all(Array.from({ length: 8 }, () => openSigningKeys(options)))
    for (const replica of replicas) onTestFinished(() => replica.close())
    const rows = await sql`select kid, purpose from signing_keys order by purpose`
    expect(rows).toMatchObject([{ purpose: 'identity' }, { purpose: 'session' }])
    for (const purpose of ['identity', 'session'] as const) {
      const kids = replicas.map((replica) => replica.signing(purpose).kid)
      expect(new Set(kids)).toEqual(new Set([rows.find((row) => row.purpose === purpose)?.kid]))
    }
  })

  it('knows a key for its own purpose only', async () => {
    const sql = await openSchema()
    const keys = await openSigningKeys({
      sql,
      secret: randomBytes(32),
      now: () => new Date(),
      random: randomBytes,
    })
    onTestFinished(() => keys.close())
    const [session, identity] = [keys.signing('session').kid, keys.signing('identity').kid]
    expect(await keys.verifying('session', session)).toBeDefined()
    for (const kid of [identity, '', 'session_unknown', '__proto__'])
      expect(await keys.verifying('session', kid), kid).toBeUndefined()
    expect(keys.identityKeys().map(({ kid }) => kid)).toEqual([identity])
  })

  it('loses no key by a replica whose clock is 80 days ahead or behind, and all sign with the same', async () => {
    const sql = await openSchema()
    const secret = randomBytes(32)
    const kids = () => sql`select kid from signing_keys order by kid`
    const by = async (aheadMs: number) => {
      const now = () => new Date(Date.now() + aheadMs)
      const keys = await openSigningKeys({ sql, secret, now, random: randomBytes })
      onTestFinished(() => keys.close())
      return keys
    }
    const right = await by(0)
    const before = await kids()
    for (const days of [80, -80]) {
      const wrong = await by(days * 86_400_000)
      expect(await kids()).toEqual(before)
      for (const purpose of ['session', 'identity'] as const) {
        const { kid } = right.signing(purpose)
        expect(wrong.signing(purpose).kid).toBe(kid)
        expect(await wrong.verifying(purpose, kid)).toBeDefined()
      }
    }
  })
})
