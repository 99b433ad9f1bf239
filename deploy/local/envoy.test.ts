import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startEnvoy } from './envoy.ts'
import { loopbackAddresses, portOrFree } from './ports.ts'

const place = {
  services: { auth: [], check: [], keys: [], tunnels: [], relay: [] },
  apiHosts: ['api.test'],
  visitorDomain: 'test',
  trustedHops: 0,
  connectionsPerAddress: 0,
}

it('serves both addresses of localhost, from a folder whose path no socket could have', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'instatunnel-envoy-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const [addresses, port] = [loopbackAddresses(), await portOrFree(0)]
  const envoy = await startEnvoy({ ...place, runDir: join(folder, 'x'.repeat(200)), addresses, port })
  onTestFinished(async () => void (await envoy.kill()))
  for (const address of addresses) {
    const host = address.includes(':') ? `[${address}]` : address
    expect((await fetch(`http://${host}:${port}/`)).status).toBe(404)
  }
})

it('gives up on an admin interface that hangs', async () => {
  const runDir = await mkdtemp(join(tmpdir(), 'instatunnel-envoy-'))
  onTestFinished(() => rm(runDir, { recursive: true, force: true }))
  const envoy = await startEnvoy({ ...place, runDir, port: 0 })
  onTestFinished(async () => void (await envoy.kill()))
  expect(await envoy.admin('/ready')).toBe('LIVE\n')
  process.kill(envoy.pid, 'SIGSTOP')
  await expect(envoy.admin('/ready')).rejects.toThrow('Envoy does not answer /ready')
  process.kill(envoy.pid, 'SIGCONT')
  expect(await envoy.admin('/ready')).toBe('LIVE\n')
})
