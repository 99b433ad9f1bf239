import { fileURLToPath } from 'node:url'
import { type RunningProcess, startProcess } from '@instatunnel/local/process'
import { afterAll, describe, expect, it } from 'vitest'
import { asking, newHolder } from '../../test/holders.ts'
import { made } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

const main = fileURLToPath(new URL('../main.ts', import.meta.url))
const keys = await startKeys()
afterAll(() => keys.close())

/** A replica of keys as a process of its own, on the same database. */
async function startBeside() {
  let child: RunningProcess | undefined
  const { DATABASE_URL = '' } = keys.environment
  const beside = await startKeys({ DATABASE_URL, LOG_LEVEL: 'trace' }, {}, async (env) => {
    const started = await startProcess({
      name: 'keys',
      command: process.execPath,
      args: [main],
      env: { ...env },
    })
    child = started
    const port = await new Promise<number>((resolve, reject) => {
      started.onLine((line) => line.includes('"serving"') && resolve(JSON.parse(line).port))
      started.exited.then(() => reject(new Error(started.lines().join('\n'))))
    })
    return { port, close: () => started.kill().then(() => {}) }
  })
  return { beside, kill: () => child?.kill() }
}

describe('keys, killed while it leases uses', () => {
  it('leases them once and loses none, asked again with the same turn at another replica', async () => {
    const { beside, kill } = await startBeside()
    const user = keys.user({ role: 'admin' })
    const { id } = await made(user, { remaining: 100 })
    const holder = newHolder()
    await keys.directory.leaseUses(asking(holder, id, { wanted: 4 }))
    const request = asking(holder, id, { wanted: 8, used: [{ agoMs: 1, count: 4 }], returned: 12 })

    const waiting = () =>
      keys.sql`select from pg_stat_activity where wait_event_type = 'Lock'`.then(({ length }) => length)
    await keys.sql.begin(async (tx) => {
      await tx`select from key_meters where key_id = ${id} for update`
      const asked = beside.directory.leaseUses(request)
      asked.catch(() => {})
      await expect.poll(waiting).toBe(1)
      await kill()
      await expect(asked).rejects.toMatchObject({ code: 14 })
    })
    const answers = [await keys.directory.leaseUses(request), await keys.directory.leaseUses(request)]
    for (const answer of answers) expect(answer).toMatchObject({ granted: 19, remaining: 77 })
    await keys.directory.leaseUses(asking(holder, id, { wanted: 0, returned: 19 }))
    expect(await user.getKey({ id })).toMatchObject({ remaining: 96 })
    await beside.close()
  })
})
