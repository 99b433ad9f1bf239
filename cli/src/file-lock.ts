import { randomUUID } from 'node:crypto'
import { link, lstat, readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { Refused } from './exit.ts'

/** Longer than any change takes that holds the lock. */
const PATIENCE_MS = 5000
const LOOK_MS = 20

/**
 * Runs `work` while this process alone holds the lock that the file stands for. A lock whose holder is dead is taken over.
 * Throws Refused (credentials_locked) where another process holds it for 5 s.
 */
export async function withFileLock<T>(
  file: string,
  work: () => Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const ours = `${process.pid} ${randomUUID()}`
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, ours, { mode: 0o600, flag: 'wx' })
  try {
    await take(draft, file, patienceMs)
  } finally {
    await rm(draft, { force: true })
  }
  try {
    return await work()
  } finally {
    await removeIf(file, ours)
  }
}

async function take(draft: string, file: string, patienceMs: number): Promise<void> {
  const until = performance.now() + patienceMs
  while (!(await linked(draft, file))) {
    const holder = await contentOf(file)
    if (holder !== undefined && !isAlive(holder)) await removeStale(draft, file, holder)
    else await delay(LOOK_MS)
    if (performance.now() > until)
      throw new Refused(
        'credentials_locked',
        `Another command holds ${file}; if none is running, delete ${file}*`,
      )
  }
}

/**
 * Removes the lock of a dead process. One remover at a time: two that saw the same dead holder could otherwise remove the
 * lock that a third has taken between them.
 */
async function removeStale(draft: string, file: string, holder: string): Promise<void> {
  const guard = `${file}.stale`
  if (!(await linked(draft, guard))) {
    // Held for two system calls, unless its remover was killed between them.
    const remover = await contentOf(guard)
    if (remover !== undefined && !isAlive(remover)) await removeIf(guard, remover)
    return delay(LOOK_MS)
  }
  try {
    await removeIf(file, holder)
  } finally {
    await rm(guard, { force: true })
  }
}

/** A hard link makes a whole file appear at once, or not at all. */
async function linked(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function removeIf(file: string, content: string): Promise<void> {
  if ((await contentOf(file)) === content) await rm(file, { force: true })
}

/** What a lock says; undefined where there is none. Throws Refused where something else stands in its place. */
async function contentOf(file: string): Promise<string | undefined> {
  const found = await lstat(file).catch(() => undefined)
  if (found && !found.isFile()) throw new Refused('credentials_locked', `${file} is no plain file; delete it`)
  return found && readFile(file, 'utf8').catch(() => undefined)
}

function isAlive(content: string): boolean {
  const pid = Number(content.split(' ', 1)[0])
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
