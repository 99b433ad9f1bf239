import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLogFile } from './log-file.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'instatunnel-log-test-'))
  file = join(folder, 'auth.log')
})
afterEach(() => rmSync(folder, { recursive: true }))

const text = (name: string) => readFileSync(join(folder, name), 'utf8')

describe('openLogFile', () => {
  it('keeps no more files than it may, each of its size', async () => {
    const log = openLogFile(file, { maxBytes: 20, maxFiles: 3 })
    for (let line = 1; line <= 9; line++) {
      log.write(`line ${line} of nine`)
      await setImmediate()
    }
    log.close()
    expect(readdirSync(folder).sort()).toEqual(['auth.log', 'auth.log.1', 'auth.log.2'])
    expect(text('auth.log')).toBe('line 9 of nine\n')
    expect(text('auth.log.1')).toBe('line 7 of nine\nline 8 of nine\n')
    expect(text('auth.log.2')).toBe('line 5 of nine\nline 6 of nine\n')
  })

  it('keeps what earlier starts wrote, within the same bounds', () => {
    for (let start = 1; start <= 4; start++) {
      const log = openLogFile(file, { maxBytes: 20, maxFiles: 2 })
      log.write(`start number ${start}`)
      log.close()
    }
    expect(text('auth.log.1')).toBe('start number 1\nstart number 2\n')
    expect(text('auth.log')).toBe('start number 3\nstart number 4\n')
  })

  it('goes on once a full disk has room, and says how many lines are missing', async () => {
    symlinkSync('/dev/full', file) // writing there fails with ENOSPC (full(4))
    const log = openLogFile(file, { retryMs: 10 })
    log.write('lost 1')
    await setImmediate()
    log.write('lost 2')
    await setImmediate()
    unlinkSync(file)
    await expect.poll(() => readdirSync(folder)).toEqual(['auth.log'])
    log.write('kept')
    log.close()
    expect(text('auth.log')).toBe('\n(up to 2 lines are missing here: ENOSPC)\nkept\n')
  })

  it('neither throws nor keeps the process where the disk stays full', async () => {
    symlinkSync('/dev/full', file)
    const log = openLogFile(file)
    log.write('lost')
    await setImmediate()
    log.write('lost')
    log.close()
  })
})
