import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { openLogFile } from './log-file.ts'

it('keeps no more than two files of its size', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'instatunnel-log-test-'))
  const file = join(folder, 'logs/auth.log')
  const log = openLogFile(file, { maxBytes: 20 })
  for (let line = 1; line <= 7; line++) log.write(`line ${line} of seven`)
  log.close()
  await vi.waitFor(() => {
    expect(readFileSync(file, 'utf8')).toBe('line 7 of seven\n')
    expect(readFileSync(`${file}.old`, 'utf8')).toBe('line 5 of seven\nline 6 of seven\n')
  })
  rmSync(folder, { recursive: true })
})
