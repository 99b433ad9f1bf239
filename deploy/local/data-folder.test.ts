import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDataFolder } from './data-folder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'instatunnel-data-test-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('openDataFolder', () => {
  it('makes the folder, for its owner alone, and takes one that is there', () => {
    const dataDir = join(folder, 'a/b')
    openDataFolder(dataDir)
    openDataFolder(dataDir)
    expect(statSync(dataDir).mode & 0o777).toBe(0o700)
  })

  it.each<[what: string, dataDir: () => string, line: RegExp]>([
    ['a file', () => join(folder, 'file'), /is a file; name a folder$/],
    ['below a file', () => join(folder, 'file/data'), /is a file, or below one; name a folder$/],
    ['where no folder can be made, by root neither', () => '/proc/instatunnel', /name another folder$/],
    ['too long', () => join(folder, 'x'.repeat(300)), /is a path that is too long; name a shorter one$/],
  ])('says in one line that it is %s', (_what, dataDir, line) => {
    writeFileSync(join(folder, 'file'), '')
    const say = () => openDataFolder(dataDir())
    expect(say).toThrow(line)
    expect(say).toThrow(/^INSTATUNNEL_DATA: [^\n]+$/)
  })
})
