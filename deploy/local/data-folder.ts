import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/** What went wrong, by the code of the system call, in words that say what to do. */
const faults: Readonly<Record<string, string>> = {
  EEXIST: 'is a file; name a folder',
  ENOTDIR: 'is a file, or below one; name a folder',
  EACCES: 'cannot be written by this user; name another folder',
  EPERM: 'cannot be made here; name another folder',
  ENOENT: 'cannot be made here; name another folder',
  EROFS: 'is on a file system that is read-only; name another folder',
  ENAMETOOLONG: 'is a path that is too long; name a shorter one',
  ENOSPC: 'cannot be made: the disk is full',
}

/** Makes the data folder where it is missing. Throws an Error of one line where nothing can be kept in it. */
export function openDataFolder(dataDir: string): void {
  try {
    makeFolder(dataDir)
    accessSync(dataDir, constants.W_OK | constants.X_OK)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    throw new Error(`INSTATUNNEL_DATA: ${dataDir} ${faults[code] ?? `cannot be used (${code})`}`)
  }
}

/** As `mkdir -p`. Node's own never returns where a folder that is there takes no folder (/proc). */
function makeFolder(folder: string): void {
  if (!existsSync(dirname(folder))) makeFolder(dirname(folder))
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
}
