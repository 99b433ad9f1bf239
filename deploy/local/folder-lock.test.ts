import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { tryLock } from './folder-lock.mjs'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'instatunnel-lock-test-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('tryLock', () => {
  it('names the process that holds it, until that one lets go', () => {
    const file = join(folder, 'lock')
    const lock = tryLock(file)
    expect(tryLock(file)).toEqual({ heldBy: process.pid })
    if (lock.heldBy === undefined) lock.release()
    expect(tryLock(file).heldBy).toBeUndefined()
  })

  it('takes over from a process that was killed', () => {
    const file = join(folder, 'lock')
    const script = `import { tryLock } from ${JSON.stringify(new URL('folder-lock.mjs', import.meta.url).href)}
      tryLock(${JSON.stringify(file)})
      process.kill(process.pid, 'SIGKILL')`
    expect(spawnSync(process.execPath, ['--input-type=module', '-e', script]).signal).toBe('SIGKILL')
    expect(tryLock(file).heldBy).toBeUndefined()
  })
})
