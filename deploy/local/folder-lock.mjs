import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** While another process removes a lock, which it does at once. */
const pollMs = 5

/**
 * Takes the lock that the file stands for, or says which process holds it. A lock whose holder is gone, even by
 * SIGKILL, is free.
 *
 * @param {string} file
 * @returns {{ release: () => void, heldBy?: undefined } | { heldBy: number }}
 */
export function tryLock(file) {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const ours = JSON.stringify({ pid: process.pid, started: startOf(process.pid), id: randomUUID() })
  const draft = `${file}.${randomUUID()}`
  writeFileSync(draft, ours, { mode: 0o600, flag: 'wx' })
  try {
    for (;;) {
      if (linked(draft, file)) return { release: () => removeIf(file, ours) }
      const found = contentOf(file)
      if (found === undefined) continue // it was let go meanwhile
      const holder = holderIn(found)
      if (holder !== undefined) return { heldBy: holder }
      removeStale({ draft, file, found })
    }
  } finally {
    rmSync(draft, { force: true })
  }
}

/**
 * Removes the lock of a process that is gone. Two that saw the same one could each remove what is there by then, the
 * second one the lock of a third: so one removes at a time, and looks once more before it does.
 *
 * @param {{ draft: string, file: string, found: string }} seen
 */
function removeStale({ draft, file, found }) {
  const guard = `${file}.stale`
  if (linked(draft, guard)) {
    removeIf(file, found)
    rmSync(guard, { force: true })
    return
  }
  const remover = contentOf(guard)
  if (remover !== undefined && holderIn(remover) === undefined)
    removeIf(guard, remover) // killed in the middle of it
  else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pollMs)
}

/** @param {string} file @param {string} content */
function removeIf(file, content) {
  if (contentOf(file) === content) rmSync(file, { force: true })
}

/** @param {string} file */
function contentOf(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error
    return undefined
  }
}

/** @param {string} draft @param {string} file */
function linked(draft, file) {
  try {
    linkSync(draft, file) // the whole file at once, or not at all
    return true
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false
    throw error
  }
}

/**
 * The process that a lock names, where it still runs.
 *
 * @param {string} content
 * @returns {number | undefined}
 */
function holderIn(content) {
  try {
    const { pid, started } = JSON.parse(content)
    return started !== undefined && startOf(pid) === started ? pid : undefined
  } catch {
    return undefined // no lock of ours: its process was killed by a full disk, or the machine lost its power
  }
}

/**
 * When a process was started: with its number this tells it from a later one of the same number.
 *
 * @param {number} pid
 * @returns {string | undefined} nothing where there is no such process
 */
function startOf(pid) {
  try {
    if (process.platform !== 'linux') {
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name before may hold anything
    return state === 'Z' ? undefined : fields[18] // field 22 of proc_pid_stat(5); a zombie holds nothing
  } catch {
    return undefined
  }
}
