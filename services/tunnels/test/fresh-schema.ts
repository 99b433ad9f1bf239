import { fileURLToPath } from 'node:url'
import { OUTBOX_MIGRATIONS } from '@instatunnel/kit/event'
import { connectPostgres, migrate, type Sql } from '@instatunnel/kit/postgres'
import { freshDatabase } from '@instatunnel/test/database'
import { afterAll } from 'vitest'

const MIGRATIONS = fileURLToPath(new URL('../src/store/migrations', import.meta.url))

/** The service's schema on a new database, without the service; closed after the file's last test. */
export async function freshSchema(): Promise<Sql> {
  const sql = connectPostgres({ url: await freshDatabase(), schema: 'tunnels' })
  afterAll(() => sql.end({ timeout: 1 }))
  await migrate(sql, { schema: 'tunnels', folders: [OUTBOX_MIGRATIONS, MIGRATIONS] })
  return sql
}
