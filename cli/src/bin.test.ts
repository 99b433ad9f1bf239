import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { bin } from '../test/home.ts'
import { version } from './version.ts'

const run = promisify(execFile)
let folder: string

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'instatunnel-bin-')))
})
afterEach(() => rm(folder, { recursive: true }))

it('runs from any folder, through links, whatever Node is on PATH', async () => {
  const link = join(folder, 'instatunnel')
  await symlink(bin, link)
  await symlink(link, join(folder, 'again'))
  // A PATH with a Node that would fail.
  await symlink('/bin/false', join(folder, 'node'))
  const env = { PATH: `${folder}:/usr/bin:/bin`, HOME: folder }
  for (const path of [bin, link, join(folder, 'again'), '../again'])
    expect((await run(path, ['--version'], { cwd: await subfolder(), env })).stdout).toBe(`${version}\n`)
})

it('says what to do where nothing is installed', async () => {
  const copy = join(folder, 'cli/bin/instatunnel')
  await mkdir(dirname(copy), { recursive: true })
  await cp(bin, copy)
  await expect(run(copy, ['--version'])).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: `instatunnel: ${folder}/node_modules/node/bin/node is missing; run 'npm ci' in ${folder} first\n`,
  })
})

async function subfolder(): Promise<string> {
  const path = join(folder, 'below')
  await mkdir(path, { recursive: true })
  return path
}
