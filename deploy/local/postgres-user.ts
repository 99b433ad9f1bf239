import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'

/** An unprivileged user of the system. */
export interface SystemUser {
  uid: number
  gid: number
}

/**
 * Who is to run PostgreSQL, which refuses root: nobody in particular (undefined) for an ordinary user;
 * for root the owner of the data folder, or `nobody` where there is none yet.
 */
export async function postgresUser(dataFolder: string): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  try {
    const { uid, gid } = await stat(dataFolder)
    if (uid !== 0) return { uid, gid }
  } catch {
    // not made yet
  }
  return { uid: await idOfNobody('-u'), gid: await idOfNobody('-g') }
}

async function idOfNobody(which: '-u' | '-g'): Promise<number> {
  const { stdout } = await promisify(execFile)('id', [which, 'nobody'])
  return Number(stdout)
}
