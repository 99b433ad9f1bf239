import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDatabases } from './databases.ts'
import { type Postgres, startPostgres } from './postgres.ts'

let dataDir: string
let server: Postgres
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-postgres-test-'))
  server = await startPostgres({ dataDir, port: 0 })
})
afterEach(async () => {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
})

async function query<T>(url: string, text: string): Promise<T[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    return [...(await sql.unsafe(text))] as T[]
  } finally {
    await sql.end()
  }
}

describe('startPostgres', () => {
  it('keeps every row over a SIGKILL and starts again on the same folder', async () => {
    await query(server.url, 'create table kept (id int); insert into kept values (1)')
    await server.kill()
    await server.start()
    expect(await query(server.url, 'select id from kept')).toEqual([{ id: 1 }])
  })

  it('keeps its password where only its owner can read it', async () => {
    const { mode } = await stat(join(dataDir, 'secrets', 'postgres-password'))
    expect(mode & 0o777).toBe(0o600)
    await expect(query(server.url.replace(/:[0-9a-f]{48}@/, ':wrong@'), 'select 1')).rejects.toMatchObject({
      code: '28P01',
    })
  })
})

describe('openDatabases', () => {
  it('gives each service a schema of its own and no look into another', async () => {
    const urls = await openDatabases({ dataDir, adminUrl: server.url })
    await query(urls.keys, 'create table keys.secrets (id int)')
    await expect(query(urls.auth, 'select * from keys.secrets')).rejects.toMatchObject({ code: '42501' })
    await expect(query(urls.auth, 'create table keys.mine (id int)')).rejects.toMatchObject({ code: '42501' })
  })

  it('gives the same answer the second time', async () => {
    const first = await openDatabases({ dataDir, adminUrl: server.url })
    expect(await openDatabases({ dataDir, adminUrl: server.url })).toEqual(first)
  })
})
