import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@instatunnel/local/postgres'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../test/made.ts'
import { newSessionId, startKeys } from '../test/start-keys.ts'
import { readConfig } from './config.ts'

const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-restart-'))
const postgres = await startPostgres({ dataDir, port: 0 })
const keys = await startKeys({ DATABASE_URL: postgres.url })
afterAll(async () => {
  await keys.close()
  await postgres.stop()
  await rm(dataDir, { recursive: true, force: true })
})

describe('the service', () => {
  it('answers UNAVAILABLE while Postgres is away, and recovers by itself', async () => {
    const user = keys.user()
    const { key, id, secret } = await made(user)
    await postgres.kill()
    const calls = [
      () => user.listKeys(),
      () => user.getKey({ id }),
      () => user.createKey({ name: 'x' }),
      () => user.updateKey({ id, name: 'y' }),
      () => user.deleteKey({ id }),
      () => user.restoreKey({ id }),
      () => user.rotateKey({ id }),
      () => user.endGracePeriod({ id }),
      () => user.verifyKey({ key: secret }),
      () => keys.directory.lookUpKeys({ digests: [Buffer.alloc(32)] }),
      () => keys.directory.getKeyRecord({ id }),
      () =>
        keys.directory.createSessionKey({
          sessionId: newSessionId(),
          userId: user.id,
          permissions: ['logs:read'],
        }),
      () => keys.directory.revokeKey({ keyId: id, reason: 'logout' }),
    ]
    const message = 'The service is not available right now; try again shortly.'
    for (const call of calls) {
      expect(await refused(call())).toMatchObject({
        code: 'UNAVAILABLE',
        reason: 'UNAVAILABLE',
        message,
        http: 503,
        body: { error: 'unavailable', message, code: 5003 },
      })
    }
    await postgres.start()
    await expect
      .poll(() => user.listKeys().then(({ keys: found }) => found.length, String), { timeout: 10_000 })
      .toBe(1)
    expect(await user.getKey({ id })).toEqual(key)
    await made(user)
  })

  it('starts again on its own rows, beside a replica', async () => {
    const user = keys.user()
    const { key, id } = await made(user)
    const { DATABASE_URL = '', KEY_PEPPERS = '' } = keys.environment
    const again = await startKeys({ DATABASE_URL, KEY_PEPPERS })
    expect(await again.user({ id: user.id }).getKey({ id })).toEqual(key)
    await again.close()
  })

  it('accepts writes while NATS is away', async () => {
    const alone = await startKeys({ NATS_URL: 'nats://127.0.0.1:1' })
    const { id } = await made(alone.user())
    expect(await alone.sql`select type from outbox where subject = ${id}`).toMatchObject([
      { type: 'key.created' },
    ])
    await alone.close()
  })

  it('refuses an identity that auth did not sign', async () => {
    const forged = keys.callWith({ 'x-instatunnel-identity': 'e30.e30.' })
    expect(await refused(forged.listKeys())).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'CREDENTIAL_INVALID',
      message: 'Invalid identity',
    })
  })
})

describe('readConfig', () => {
  it('names every setting at fault, and shows no value', () => {
    const given = { DATABASE_URL: 'secret', KEY_PEPPERS: '{"p1":"secret"}', LISTEN: 'secret' }
    expect(() => readConfig(given)).toThrow(
      /^Settings: DATABASE_URL: .*SERVICE_KEY is not set.*SERVICE_PUBLIC_KEYS is not set.*LISTEN: .*KEY_PEPPERS: /,
    )
    expect(() => readConfig(given)).not.toThrow(/secret/)
  })
})
