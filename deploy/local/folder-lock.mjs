import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Takes the lock that the file stands for, or says which process holds it. A lock whose holder is gone, even by
 * SIGKILL, is free.
 *
 * @param {string} file
 * @returns {{ release: () => void, heldBy?: undefined } | { heldBy: number }}
 */
export function tryLock(file) {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const ours = JSON.stringify({ pid: process.pid, started: startOf(process.pid) })
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, ours, { mode: 0o600 })
  try {
    for (;;) {
      const taken = linked(draft, file)
      if (taken) return { release: () => unlinkSync(file) }
      const holder = holderOf(file)
      if (holder !== undefined) return { heldBy: holder }
    }
  } finally {
    unlinkSync(draft)
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
 * Who holds the lock; one that is nobody's any more is removed.
 *
 * @param {string} file
 * @returns {number | undefined}
 */
function holderOf(file) {
  try {
    const { pid, started } = JSON.parse(readFileSync(file, 'utf8'))
    if (startOf(pid) === started) return pid
    unlinkSync(file)
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error
  }
  return undefined
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
