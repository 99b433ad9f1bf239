import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@instatunnel/local/postgres'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { startTunnels } from '../test/start-tunnels.ts'

const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-restart-'))
const postgres = await startPostgres({ dataDir, port: 0 })
const tunnels = await startTunnels({ DATABASE_URL: postgres.url })
afterAll(async () => {
  await tunnels.close()
  await postgres.stop()
  await rm(dataDir, { recursive: true, force: true })
})

describe('the service', () => {
  it('answers UNAVAILABLE while Postgres is away, and recovers by itself', async () => {
    const user = tunnels.user()
    const { tunnel } = await user.createTunnel({ name: 'x', localPort: 1 })
    const id = tunnel?.id as string
    await postgres.kill()
    const calls = [
      () => user.listTunnels(),
      () => user.getTunnel({ id }),
      () => user.createTunnel({ name: 'x', localPort: 1 }),
      () => user.updateTunnel({ id, name: 'y' }),
      () => user.deleteTunnel({ id }),
      () => user.regenerateToken({ id }),
      () => user.getTunnelStats({ id }),
      () => tunnels.directory.getUsage({ userId: user.id }),
      () => tunnels.directory.lookUpToken({ digest: Buffer.alloc(32) }),
      () => tunnels.directory.lookUpTunnel({ tunnelId: id }),
      () => tunnels.directory.lookUpSubdomains({ subdomains: ['any-subdomain'] }),
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
      .poll(() => user.listTunnels().then(({ tunnels: found }) => found.length, String), { timeout: 10_000 })
      .toBe(1)
    expect(await user.getTunnel({ id })).toEqual(tunnel)
    await expect(user.createTunnel({ name: 'x', localPort: 1 })).resolves.toMatchObject({ success: true })
  })

  it('refuses a call without a credential', async () => {
    expect(await refused(tunnels.callWith({}).listTunnels())).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'CREDENTIAL_MISSING',
      message: 'Invalid or missing API key',
      http: 401,
    })
  })

  it('refuses an identity that auth did not sign', async () => {
    const forged = tunnels.callWith({ 'x-instatunnel-identity': 'e30.e30.' })
    expect(await refused(forged.listTunnels())).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'CREDENTIAL_INVALID',
      message: 'Invalid identity',
    })
  })
})
