import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { tryLock } from './folder-lock.mjs'
import { installMissing } from './install.mjs'
import { repository } from './repository.ts'

describe('installMissing', () => {
  let checkout: string
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(checkout, path)), { recursive: true })
    writeFileSync(join(checkout, path), text)
  }
  const said = () => {
    const lines = vi.mocked(console.error).mock.calls.map(([line]) => line)
    vi.mocked(console.error).mockClear()
    return lines
  }

  beforeEach(() => {
    checkout = mkdtempSync(join(tmpdir(), 'instatunnel-install-test-'))
    vi.spyOn(console, 'error').mockImplementation(() => {})
    vi.stubEnv('ENVOY_BIN', process.execPath)
    vi.stubEnv('NATS_SERVER_BIN', process.execPath)
    write('package-lock.json', '{"packages":{"node_modules/a":{"version":"1.0.0"}}}')
    write('node_modules/.package-lock.json', '{"packages":{"node_modules/a":{"version":"1.0.0"}}}')
    write('deploy/local/requirements.txt', '')
    for (const name of ['package.json', 'buf.yaml', 'buf.gen.yaml']) write(`proto/${name}`, '')
    write('proto/instatunnel/keys/v1/keys.proto', 'syntax = "proto3";')
    write('gateway/package.json', '')
    write('gateway/connection-limit/filter.ts', '')
    write(
      'node_modules/turbo/bin/turbo',
      `const { mkdirSync, writeFileSync } = require('fs')
      for (const [folder, file] of [['proto/gen', 'descriptors.binpb'], ['gateway/gen', 'connection-limit.wasm']]) {
        mkdirSync(folder, { recursive: true })
        writeFileSync(folder + '/' + file, '')
      }`,
    )
  })
  afterEach(() => {
    vi.restoreAllMocks()
    vi.unstubAllEnvs()
    rmSync(checkout, { recursive: true })
  })

  it('does nothing and says nothing when nothing is missing', async () => {
    await installMissing(checkout)
    said()
    // Whatever there was to do would wait for whoever holds this.
    const lock = tryLock(join(checkout, '.tools/install.lock'))
    expect(lock.heldBy).toBeUndefined()
    await installMissing(checkout)
    expect(said()).toEqual([])
    if (lock.heldBy === undefined) lock.release()
  })

  it.each(['proto/instatunnel/keys/v1/keys.proto', 'gateway/connection-limit/filter.ts'])(
    'generates again after %s has changed, and nothing else',
    async (source) => {
      await installMissing(checkout)
      said()
      write(source, '// other than before')
      await installMissing(checkout)
      expect(said()).toEqual(['generating code…'])
    },
  )

  it('does a thing once when two runs start together', async () => {
    await Promise.all([installMissing(checkout), installMissing(checkout)])
    expect(said().filter((line) => line.startsWith('generating'))).toHaveLength(1)
  })

  it('shows the end of what a failed command wrote', async () => {
    write('node_modules/turbo/bin/turbo', "console.error('no such import'); process.exit(3)")
    await expect(installMissing(checkout)).rejects.toThrow(/run generate failed \(3\):\nno such import/)
  })
})

it('package-lock.json names the packages of every platform, without which npm ci refuses', () => {
  const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>
  }
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`],
    ),
  )
  expect(missing).toEqual([])
})
