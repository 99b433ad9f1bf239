import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withFileLock } from './file-lock.ts'

let folder: string
let file: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'instatunnel-lock-'))
  file = join(folder, 'lock')
})
afterEach(() => rm(folder, { recursive: true }))

/** The id of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn('true')
  await once(child, 'exit')
  return child.pid ?? expect.fail('no process was started')
}

/** Takes the lock many times at once; the most that held it at one time, and how often it was held. */
async function rush(times: number): Promise<{ most: number; held: number }> {
  let [holders, most, held] = [0, 0, 0]
  const work = async () => {
    most = Math.max(most, ++holders)
    await turn()
    held++
    holders--
  }
  await Promise.all(Array.from({ length: times }, () => withFileLock(file, work)))
  return { most, held }
}

describe('a lock', () => {
  it('is held by one at a time, and leaves nothing behind', async () => {
    expect(await rush(20)).toEqual({ most: 1, held: 20 })
    expect(await readdir(folder)).toEqual([])
  })

  it('of a dead process is taken over by one', async () => {
    const pid = await deadPid()
    for (let round = 0; round < 20; round++) {
      await writeFile(file, `${pid} of another command`)
      expect(await rush(8)).toEqual({ most: 1, held: 8 })
    }
    expect(await readdir(folder)).toEqual([])
  })

  it('of a dead process is taken over also where one that removed it was killed in the midst of that', async () => {
    const pid = await deadPid()
    await writeFile(file, `${pid} of another command`)
    await writeFile(`${file}.stale`, `${pid} of its remover`)
    expect(await rush(4)).toEqual({ most: 1, held: 4 })
    expect(await readdir(folder)).toEqual([])
  })

  it('is refused where something else stands in its place, without waiting for it', async () => {
    execFileSync('mkfifo', [file])
    const refused = { error: 'credentials_locked', message: `${file} is no plain file; delete it` }
    await expect(withFileLock(file, async () => {})).rejects.toMatchObject(refused)
    await rm(file)
    await mkdir(file)
    await expect(withFileLock(file, async () => {})).rejects.toMatchObject(refused)
  })

  it('is let go where the work fails', async () => {
    await expect(withFileLock(file, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await readdir(folder)).toEqual([])
  })

  it('that is not ours any more is left alone', async () => {
    await withFileLock(file, () => writeFile(file, '1 of another command'))
    expect(await readFile(file, 'utf8')).toBe('1 of another command')
  })

  it('of a process that lives is waited for, and then named', async () => {
    await writeFile(file, `${process.pid} of another command`)
    await expect(withFileLock(file, async () => {}, 100)).rejects.toMatchObject({
      error: 'credentials_locked',
      message: `Another command holds ${file}; if none is running, delete ${file}*`,
    })
  })
})
