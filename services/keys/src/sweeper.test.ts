import { createLog } from '@instatunnel/kit/log'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { keyNotFound, made } from '../test/made.ts'
import { type Launch, newSessionId, type StartedKeys, startKeys } from '../test/start-keys.ts'
import { readConfig } from './config.ts'
import { start } from './start.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const soon = { timeout: 10_000 }

let time = Date.parse('2026-03-01T12:00:00Z')
const sweepEveryMs = 10
const keys = await startKeys({}, { now: () => new Date(time), sweepEveryMs })
afterAll(() => keys.close())
const user = keys.user()

/** Another replica on the same rows. */
async function startReplica(now = () => new Date(time), launch?: Launch): Promise<StartedKeys> {
  const { DATABASE_URL = '', KEY_PEPPERS = '' } = keys.environment
  const replica = await startKeys({ DATABASE_URL, KEY_PEPPERS }, { now, sweepEveryMs }, launch)
  onTestFinished(() => replica.close())
  return replica
}

/** Resolves once a sweep that began later has ended. */
async function swept() {
  const { id } = await made(user)
  await keys.sql`update api_keys set revoked_at = '2020-01-01T00:00:00Z' where id = ${id}`
  await expect.poll(() => isKept(id), soon).toBe(false)
}

const isKept = async (id: string) => (await keys.sql`select from api_keys where id = ${id}`).length === 1

describe('the sweeper', () => {
  it('purges a key 30 days after it was revoked, with all that is kept of it; no other', async () => {
    const admin = keys.user({ role: 'admin' })
    const [live, gone] = [await made(admin, { remaining: 5 }), await made(admin, { remaining: 5 })]
    await admin.deleteKey({ id: gone.id })
    time += 30 * DAY_MS - 1
    await swept()
    expect([await isKept(live.id), await isKept(gone.id)]).toEqual([true, true])
    expect((await admin.getKey({ id: gone.id })).state).toBe('revoked')
    time += 1
    await swept()
    expect([await isKept(live.id), await isKept(gone.id)]).toEqual([true, false])
    const meters = await keys.sql`select key_id from key_meters`
    expect(meters).toEqual([{ keyId: live.id }])
    expect(await refused(admin.restoreKey({ id: gone.id }))).toEqual(keyNotFound)
    expect(await keys.lookUp(live.secret)).toMatchObject({ id: live.id })
  })

  it('purges those that a service revoked, and those of sessions', async () => {
    const { id } = await made(user)
    const request = { sessionId: newSessionId(), userId: user.id, permissions: ['logs:read'] }
    const { keyId } = await keys.directory.createSessionKey(request)
    for (const revoked of [id, keyId]) await keys.directory.revokeKey({ keyId: revoked, reason: 'logout' })
    time += 30 * DAY_MS
    await swept()
    expect([await isKept(id), await isKept(keyId)]).toEqual([false, false])
  })

  it('forgets an old secret once its grace period has ended, and no other', async () => {
    const [short, long] = [await made(user), await made(user)]
    const oldHashOf = async (id: string) =>
      (await keys.sql`select old_hash from api_keys where id = ${id}`)[0]?.oldHash
    await user.rotateKey({ id: short.id, gracePeriod: 10 })
    await user.rotateKey({ id: long.id, gracePeriod: 11 })
    const before = await user.getKey({ id: short.id })
    time += 9_999
    await swept()
    expect(await oldHashOf(short.id)).toBeInstanceOf(Buffer)
    time += 1
    await swept()
    expect(await oldHashOf(short.id)).toBeNull()
    expect(await oldHashOf(long.id)).toBeInstanceOf(Buffer)
    expect(await user.getKey({ id: short.id })).toEqual({ ...before, oldSecret: undefined })
    expect(await keys.lookUp(long.secret)).toMatchObject({ id: long.id })
  })

  it('purges thousands in one go', async () => {
    await keys.sql`
      insert into api_keys (
        id, user_id, name, prefix, start, masked, hash, pepper_id, permissions, created_at, updated_at, revoked_at)
      select 'filled_' || n, 'user_x', 'x', 'it_', 'it_xx', 'it_***...xxx', sha256(n::text::bytea), 'p1', '{}',
        '2020-01-01', '2020-01-01', '2020-01-01'
      from generate_series(1, 2500) as n`
    const left = () => keys.sql`select from api_keys where user_id = 'user_x'`.then(({ length }) => length)
    await expect.poll(left, soon).toBe(0)
  })

  it('leaves the work to one of several replicas, and none undone', async () => {
    await Promise.all([startReplica(), startReplica()])
    const all = await Promise.all(Array.from({ length: 30 }, () => made(user)))
    for (const { id } of all) await user.deleteKey({ id })
    time += 30 * DAY_MS
    const ids = all.map(({ id }) => id)
    const left = () =>
      keys.sql`select from api_keys where id in ${keys.sql(ids)}`.then(({ length }) => length)
    await expect.poll(left, soon).toBe(0)
  })

  it('either purges a key or leaves it restored, where replicas disagree about the time', async () => {
    let aheadMs = 0
    await startReplica(() => new Date(time + aheadMs))
    const all = await Promise.all(Array.from({ length: 100 }, () => made(user)))
    for (const { id } of all) await user.deleteKey({ id })
    const restoring = all.map(({ id }) => user.restoreKey({ id }))
    aheadMs = 30 * DAY_MS
    const restored = await Promise.allSettled(restoring)
    const wanted = restored.map(({ status }) => status === 'fulfilled')
    await expect.poll(() => Promise.all(all.map(({ id }) => isKept(id))), soon).toEqual(wanted)
    const found = await Promise.all(all.map(({ secret }) => keys.lookUp(secret)))
    expect(found.map((record) => record !== undefined)).toEqual(wanted)
    for (const { id } of all.filter((_, n) => !wanted[n])) {
      expect(await refused(user.restoreKey({ id }))).toEqual(keyNotFound)
    }
  })

  it('sweeps again where Postgres refused it', async () => {
    const lines: string[] = []
    await startReplica(undefined, (environment, overrides) => {
      const log = createLog('keys', 'warn', { write: (line: string) => void lines.push(line) })
      return start(readConfig(environment), log, overrides)
    })
    await keys.sql`alter table api_keys rename column old_ends_at to broken`
    await expect.poll(() => lines.join(), soon).toContain('is tried again later')
    await keys.sql`alter table api_keys rename column broken to old_ends_at`
    await swept()
  })
})
