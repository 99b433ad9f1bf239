import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshDatabase } from '@instatunnel/test/database'
import postgres from 'postgres'
import { afterAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import { OUTBOX_MIGRATIONS } from './event.ts'
import { connectPostgres, migrate, violates } from './postgres.ts'

const url = await freshDatabase()
const opened: ReturnType<typeof connectPostgres>[] = []
const connect = (schema: string, to = url) => {
  const sql = connectPostgres({ url: to, schema, connections: 2 })
  opened.push(sql)
  return sql
}
afterAll(() => Promise.all(opened.map((sql) => sql.end({ timeout: 1 }))))

/** A folder of migrations that goes after the test. */
async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'instatunnel-migrations-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

describe('migrate', () => {
  const create = "create table runs (name text); insert into runs values ('create');"

  it('runs each file once, in the order of their names, over any number of starts', async () => {
    const sql = connect('twice')
    const folder = await folderOf({
      '0002_second.sql': "insert into runs values ('second')",
      '0001_first.sql': create,
      'README.md': 'not SQL',
    })
    await migrate(sql, { schema: 'twice', folders: [folder] })
    await migrate(sql, { schema: 'twice', folders: [folder] })
    await writeFile(join(folder, '0003_third.sql'), "insert into runs values ('third')")
    await migrate(sql, { schema: 'twice', folders: [folder] })
    expect(await sql`select name from runs`).toMatchObject([
      { name: 'create' },
      { name: 'second' },
      { name: 'third' },
    ])
  })

  it('runs each file once where eight replicas start at the same time', async () => {
    const folder = await folderOf({
      '0001_first.sql': `${create} select pg_sleep(0.2);`,
      '0002_second.sql': "insert into runs values ('second')",
    })
    const replicas = Array.from({ length: 8 }, () => connect('parallel'))
    await Promise.all(
      replicas.map((sql) => migrate(sql, { schema: 'parallel', folders: [OUTBOX_MIGRATIONS, folder] })),
    )
    expect(await connect('parallel')`select name from runs`).toMatchObject([
      { name: 'create' },
      { name: 'second' },
    ])
  })

  it('leaves nothing of a start whose last file fails', async () => {
    const sql = connect('broken')
    const folder = await folderOf({ '0001_first.sql': create, '0002_second.sql': 'select 1 / 0' })
    await expect(migrate(sql, { schema: 'broken', folders: [folder] })).rejects.toMatchObject({
      code: '22012',
    })
    expect(await sql`select from pg_namespace where nspname = 'broken'`).toHaveLength(0)
  })

  it('has as long as it takes: a replica that waits for another one is not cut off', async () => {
    const sql = connect('patient')
    const folder = await folderOf({
      '0001_first.sql': `create table seen as select current_setting('statement_timeout') as statement,
        current_setting('lock_timeout') as lock, current_setting('idle_in_transaction_session_timeout') as idle`,
    })
    await migrate(sql, { schema: 'patient', folders: [folder] })
    expect(await sql`select * from seen`).toEqual([{ statement: '0', lock: '0', idle: '0' }])
    const [after] = await sql`select current_setting('statement_timeout') as timeout`
    expect(after).toEqual({ timeout: '4s' })
  })

  it('needs no right but that on its own schema, where the schema is there already', async () => {
    const role = `role_${randomBytes(6).toString('hex')}`
    const database = new URL(url).pathname
    const adminUrl = Object.assign(new URL(inject('postgresUrl')), { pathname: database })
    const admin = postgres(adminUrl.href, { max: 1, onnotice: () => {} })
    await admin.unsafe(`create role ${role} login password 'pw'`)
    await admin.unsafe(`create schema ${role} authorization ${role}`)
    await admin.end()
    const sql = connect(role, Object.assign(new URL(adminUrl), { username: role, password: 'pw' }).href)
    await migrate(sql, { schema: role, folders: [OUTBOX_MIGRATIONS] })
    expect(await sql`select id from outbox`).toEqual([])
  })

  it('keeps schemas of one database apart', async () => {
    const [one, two] = [connect('one'), connect('two')]
    const folder = await folderOf({ '0001_first.sql': create })
    await migrate(one, { schema: 'one', folders: [folder] })
    await expect(two`select name from runs`).rejects.toMatchObject({ code: '42P01' })
    await migrate(two, { schema: 'two', folders: [folder] })
    await one`insert into runs values ('of one')`
    expect(await two`select name from runs`).toMatchObject([{ name: 'create' }])
  })
})

describe('connectPostgres', () => {
  it('gives columns in camelCase and leaves the keys inside JSON as they are', async () => {
    const sql = connect('public')
    await sql`create table things (thing_id text, some_data jsonb)`
    const data = { snake_case: 1, camelCase: 2, 'with-dash': { inner_key: [{ deep_key: null }] } }
    await sql`insert into things ${sql({ thingId: 'a', someData: data as never })}`
    expect(await sql`select thing_id, some_data from things`).toEqual([{ thingId: 'a', someData: data }])
  })

  it('takes and gives arrays, whatever characters are in them', async () => {
    const texts = [
      '',
      'a',
      'a b',
      '"',
      '\\',
      '\\"',
      '{}',
      ',',
      'null',
      'NULL',
      "it's",
      'ä🦦',
      ' x ',
      'line\nbreak',
    ]
    const times = ['2026-11-22T03:38:00.123Z', '1999-12-31T23:59:59.999Z']
    const [row] = await connect('public')`
      select ${texts}::text[] as texts, ${[]}::text[] as none, ${[1.5, -2e21]}::float8[] as floats,
        ${['9007199254740993']}::bigint[] as whole, ${times}::timestamptz[] as times,
        array_length(${texts}::text[], 1) as count, '' = any(${texts}::text[]) as holds_empty`
    expect(row).toEqual({
      texts,
      none: [],
      floats: [1.5, -2e21],
      whole: ['9007199254740993'],
      times: times.map((time) => new Date(time)),
      count: texts.length,
      holdsEmpty: true,
    })
  })

  it('names itself to Postgres, and bounds its statements, locks and transactions', async () => {
    const [settings] = await connect('public')`
      select current_setting('application_name') as name, current_setting('statement_timeout') as statement,
        current_setting('lock_timeout') as lock, current_setting('idle_in_transaction_session_timeout') as idle`
    expect(settings).toEqual({ name: 'instatunnel-public', statement: '4s', lock: '3s', idle: '10s' })
  })
})

describe('violates', () => {
  it('knows a unique constraint by its name', async () => {
    const sql = connect('public')
    await sql`create table emails (email text constraint emails_unique unique, id int primary key)`
    await sql`insert into emails values ('a', 1)`
    const error = await sql`insert into emails values ('a', 2)`.catch((error) => error)
    expect(violates(error, 'emails_unique')).toBe(true)
    expect(violates(error, 'emails_pkey')).toBe(false)
  })

  it.each([undefined, null, 'text', new Error('x'), { code: '23505' }, { constraint_name: 'a' }])(
    'sees none in %j',
    (error) => expect(violates(error, 'a')).toBe(false),
  )
})
