import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { keptSecret } from './kept-secret.ts'
import { type StoringService, storingServices } from './service-names.ts'

/** The database of the whole platform: a schema per service. */
const database = 'instatunnel'

/** Each service's DATABASE_URL: a role of its own, which owns the schema of its name and sees no other. */
export async function openDatabases(options: {
  dataDir: string
  adminUrl: string
}): Promise<Record<StoringService, string>> {
  const admin = postgres(options.adminUrl, { max: 1, onnotice: () => {} })
  try {
    const [exists] = await admin`select 1 from pg_database where datname = ${database}`
    if (!exists) await admin.unsafe(`create database ${database}`)
  } finally {
    await admin.end()
  }

  const url = Object.assign(new URL(options.adminUrl), { pathname: `/${database}` })
  const sql = postgres(url.href, { max: 1, onnotice: () => {} })
  const urls: Partial<Record<StoringService, string>> = {}
  try {
    await sql.unsafe(
      `revoke all on database ${database} from public; revoke all on schema public from public`,
    )
    for (const name of storingServices) {
      const password = await keptSecret(options.dataDir, `postgres-${name}-password`, () =>
        randomBytes(24).toString('hex'),
      )
      const [role] = await sql`select 1 from pg_roles where rolname = ${name}`
      if (!role) await sql.unsafe(`create role ${name}`)
      // The password is hex from our own data folder, set anew each time so that the two cannot disagree.
      await sql.unsafe(`alter role ${name} login password '${password}'`)
      await sql.unsafe(`grant connect on database ${database} to ${name}`)
      await sql.unsafe(`create schema if not exists ${name} authorization ${name}`)
      urls[name] = Object.assign(new URL(url), { username: name, password }).href
    }
  } finally {
    await sql.end()
  }
  return urls as Record<StoringService, string>
}
