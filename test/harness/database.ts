import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { inject } from 'vitest'

/**
 * A new, empty database on the run's Postgres, as the URL of an ordinary role that owns it.
 * It goes with the server at the end of the run.
 */
export async function freshDatabase(): Promise<string> {
  const admin = new URL(inject('postgresUrl'))
  const name = `test_${randomBytes(6).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  const sql = postgres(admin.href, { max: 1, onnotice: () => {} })
  try {
    await sql.unsafe(`create role ${name} login password '${password}'`)
    await sql.unsafe(`create database ${name} owner ${name}`)
  } finally {
    await sql.end()
  }
  return Object.assign(new URL(admin), { username: name, password, pathname: `/${name}` }).href
}
