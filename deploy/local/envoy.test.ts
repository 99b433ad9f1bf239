import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startEnvoy } from './envoy.ts'

it('gives up on an admin interface that hangs', async () => {
  const runDir = await mkdtemp(join(tmpdir(), 'instatunnel-envoy-'))
  onTestFinished(() => rm(runDir, { recursive: true, force: true }))
  const services = { auth: [], check: [], keys: [], tunnels: [], relay: [] }
  const envoy = await startEnvoy({
    runDir,
    port: 0,
    services,
    apiHosts: ['api.test'],
    visitorDomain: 'test',
    trustedHops: 0,
  })
  onTestFinished(async () => void (await envoy.kill()))
  expect(await envoy.admin('/ready')).toBe('LIVE\n')
  process.kill(envoy.pid, 'SIGSTOP')
  await expect(envoy.admin('/ready')).rejects.toThrow('Envoy does not answer /ready')
  process.kill(envoy.pid, 'SIGCONT')
  expect(await envoy.admin('/ready')).toBe('LIVE\n')
})
