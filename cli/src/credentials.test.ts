import { execFileSync } from 'node:child_process'
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Credentials, openCredentials } from './credentials.ts'
import { Refused } from './exit.ts'

const key = { api_key: 'it_1234567890abcdef' }
const other = { api_key: 'it_abcdef1234567890', expires_at: '2026-12-01T10:30:00Z' }

let folder: string
let configDir: string
let file: string
let notes: string[]
let credentials: Credentials

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'instatunnel-credentials-'))
  configDir = join(folder, 'new/instatunnel')
  file = join(configDir, 'credentials.json')
  notes = []
  credentials = openCredentials({ configDir, note: (line) => notes.push(line) })
})
afterEach(() => rm(folder, { recursive: true }))

const modeOf = async (path: string) => (await stat(path)).mode & 0o777

describe('credentials', () => {
  it('are none at first, and looking makes no file', async () => {
    expect(await credentials.find('http://localhost:8080')).toBeUndefined()
    await credentials.forget('http://localhost:8080')
    expect(await readdir(folder)).toEqual([])
  })

  it('are kept, found and forgotten for each API by itself', async () => {
    await credentials.keep('http://localhost:8080', key)
    await credentials.keep('https://api.example.com', other)
    expect(await credentials.find('http://localhost:8080')).toEqual(key)
    expect(await credentials.find('https://api.example.com')).toEqual(other)
    await credentials.forget('http://localhost:8080')
    expect(await credentials.find('http://localhost:8080')).toBeUndefined()
    expect(await credentials.find('https://api.example.com')).toEqual(other)
    await credentials.keep('https://api.example.com', key)
    expect(await credentials.find('https://api.example.com')).toEqual(key)
  })

  it('are in a file and a folder for their owner alone, with nothing left beside', async () => {
    await credentials.keep('http://localhost:8080', key)
    expect(await modeOf(file)).toBe(0o600)
    expect(await modeOf(configDir)).toBe(0o700)
    expect(await readdir(configDir)).toEqual(['credentials.json'])
    expect(notes).toEqual([])
  })

  it('are closed to others again where they were open, which is said', async () => {
    await credentials.keep('http://localhost:8080', key)
    await chmod(file, 0o644)
    expect(await credentials.find('http://localhost:8080')).toEqual(key)
    expect(await modeOf(file)).toBe(0o600)
    expect(notes).toEqual([expect.stringContaining(`${file} was open to others`)])
    await credentials.find('http://localhost:8080')
    expect(notes).toHaveLength(1)
  })

  it('refuse where no file can be made, or read', async () => {
    await writeFile(join(folder, 'new'), 'in the way')
    await expect(credentials.find('http://localhost:8080')).rejects.toEqual(
      new Refused('credentials_unreadable', `${file} cannot be read: ENOTDIR`),
    )
    await rm(join(folder, 'new'))
    await mkdir(file, { recursive: true })
    await expect(credentials.find('http://localhost:8080')).rejects.toEqual(
      new Refused('credentials_unreadable', `${file} is no plain file`),
    )
    await symlink(join(folder, 'nothing'), join(folder, 'leads'))
    const elsewhere = openCredentials({ configDir: join(folder, 'leads/nowhere'), note: () => {} })
    const fault = `${join(folder, 'leads/nowhere/credentials.json')} cannot be written: ENOTDIR`
    await expect(elsewhere.keep('http://localhost:8080', key)).rejects.toEqual(
      new Refused('credentials_unwritable', fault),
    )
  })

  it('lose nothing when many commands change them at once', async () => {
    const apis = Array.from({ length: 20 }, (_, nth) => `http://localhost:${8080 + nth}`)
    const commands = apis.map(() => openCredentials({ configDir, note: () => {} }))
    await Promise.all(apis.map((api, nth) => commands[nth]?.keep(api, key)))
    for (const api of apis) expect(await credentials.find(api)).toEqual(key)
    await Promise.all(apis.slice(1).map((api, nth) => commands[nth]?.forget(api)))
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ 'http://localhost:8080': key })
    expect(await readdir(configDir)).toEqual(['credentials.json'])
  })

  it('stay behind a symbolic link, and change what it leads to', async () => {
    const target = join(folder, 'dotfiles.json')
    await writeFile(target, '{}', { mode: 0o600 })
    await mkdir(configDir, { recursive: true })
    await symlink(target, file)
    await credentials.keep('http://localhost:8080', key)
    expect((await lstat(file)).isSymbolicLink()).toBe(true)
    expect(JSON.parse(await readFile(target, 'utf8'))).toEqual({ 'http://localhost:8080': key })
    expect(await readdir(folder)).toEqual(['dotfiles.json', 'new'])
  })

  it('are made where a symbolic link leads that leads nowhere yet', async () => {
    await mkdir(configDir, { recursive: true })
    await symlink('../../dotfiles.json', file)
    await credentials.keep('http://localhost:8080', key)
    expect((await lstat(file)).isSymbolicLink()).toBe(true)
    expect(await modeOf(join(folder, 'dotfiles.json'))).toBe(0o600)
    expect(await credentials.find('http://localhost:8080')).toEqual(key)
  })

  it('refuse a FIFO, a device and a file that is too large, without waiting', async () => {
    await mkdir(configDir, { recursive: true })
    execFileSync('mkfifo', [file])
    const refused = (message: string) => new Refused('credentials_unreadable', `${file} ${message}`)
    await expect(credentials.find('http://localhost:8080')).rejects.toEqual(refused('is no plain file'))
    await expect(credentials.keep('http://localhost:8080', key)).rejects.toEqual(refused('is no plain file'))
    await rm(file)
    await symlink('/dev/zero', file)
    await expect(credentials.find('http://localhost:8080')).rejects.toEqual(refused('is no plain file'))
    await rm(file)
    await writeFile(file, ' '.repeat(1024 * 1024 + 1), { mode: 0o600 })
    await expect(credentials.find('http://localhost:8080')).rejects.toEqual(refused('is larger than 1 MiB'))
  })

  it('close a folder that was open before', async () => {
    await mkdir(configDir, { recursive: true, mode: 0o755 })
    await credentials.keep('http://localhost:8080', key)
    expect(await modeOf(configDir)).toBe(0o700)
  })

  it.each([
    '',
    '[]',
    'null',
    '{"http://localhost:8080": ',
    '{"http://localhost:8080": "it_1234567890abcdef"}',
  ])('refuse a file that holds %s, and leave it as it is', async (text) => {
    await mkdir(configDir, { recursive: true })
    await writeFile(file, text, { mode: 0o600 })
    const refused = new Refused(
      'credentials_unreadable',
      `${file} is not what the command wrote; delete it and log in again`,
    )
    await expect(credentials.find('http://localhost:8080')).rejects.toEqual(refused)
    await expect(credentials.keep('http://localhost:8080', key)).rejects.toEqual(refused)
    expect(await readFile(file, 'utf8')).toBe(text)
  })
})
