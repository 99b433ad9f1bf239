import { freshDatabase } from '@instatunnel/test/database'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createLog } from './log.ts'
import { connectPostgres } from './postgres.ts'

function open(level = 'info') {
  const lines: string[] = []
  return { log: createLog('keys', level, { write: (line: string) => void lines.push(line) }), lines }
}

describe('createLog', () => {
  it('writes a line of JSON with level, time and service', () => {
    const { log, lines } = open()
    log.info({ port: 1 }, 'serving')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^\{.*\}\n$/)
    expect(JSON.parse(lines[0] as string)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      service: 'keys',
      port: 1,
      msg: 'serving',
    })
  })

  it('writes nothing below its level', () => {
    const { log, lines } = open('warn')
    log.info('serving')
    expect(lines).toEqual([])
  })

  it('writes where an error came from', () => {
    const { log, lines } = open()
    log.error({ err: new TypeError('x is not a function') }, 'failed')
    expect(JSON.parse(lines[0] as string).err).toMatchObject({
      type: 'TypeError',
      message: 'x is not a function',
      stack: expect.stringContaining('log.test.ts'),
    })
  })

  it('writes nothing of the row that Postgres refused', async () => {
    const sql = connectPostgres({ url: await freshDatabase(), schema: 'public' })
    onTestFinished(() => sql.end({ timeout: 1 }))
    await sql`create table users (password_hash text, n int check (n > 0), id int primary key)`
    await sql`insert into users values ('s3cret', 1, 7)`
    const { log, lines } = open()
    for (const refused of [
      sql`insert into users values ('s3cret', -1, 1)`,
      sql`insert into users values ('s3cret', 1, 7)`,
      sql`insert into users values ('s3cret', 1, null)`,
    ])
      log.error({ err: await refused.catch((error) => error) }, 'failed')
    expect(lines).toHaveLength(3)
    for (const line of lines) {
      expect(line).toContain('"code":"23')
      expect(line).not.toContain('s3cret')
    }
  })
})
