import { readFileSync, writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { treeOf } from './cpu.ts'

const { PRIORITY_BELOW_NORMAL } = constants.priority
/** Linux lets whoever is not root do this so often only (sched(7), "The autogroup feature"). */
const RETRY_MS = 100
const TRIES = 20

/**
 * Has processes and all their children give way to whatever else wants their core. What works for the measured one on
 * the load's core would otherwise keep the load from asking, and hearing, in time: its calls would be late, and nothing
 * that is measured to blame. Children that are born later do as they like: ask again before each run.
 */
export async function giveWay(pids: readonly number[]): Promise<void> {
  for (const pid of pids.flatMap(treeOf)) {
    try {
      setPriority(pid, PRIORITY_BELOW_NORMAL)
      await giveWayAsGroup(pid)
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }
}

/** Where the kernel divides a core by sessions first, the priority of each counts within its own only. */
async function giveWayAsGroup(pid: number): Promise<void> {
  const file = `/proc/${pid}/autogroup`
  const isDone = () => new RegExp(` nice ${PRIORITY_BELOW_NORMAL}$`, 'm').test(groupOf(file))
  for (let tries = 1; !isDone() && groupOf(file) !== ''; tries++) {
    try {
      writeFileSync(file, `${PRIORITY_BELOW_NORMAL}`)
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN' || tries === TRIES) throw error
      await delay(RETRY_MS)
    }
  }
}

/** Empty where the kernel knows no such groups. */
function groupOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isGone(error)) return ''
    throw error
  }
}

const codeOf = (error: unknown) => (error as { code?: unknown }).code

/** Whether a process has ended meanwhile. */
const isGone = (error: unknown) => ['ESRCH', 'ENOENT'].includes(String(codeOf(error)))
