import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** The processor time that a process and its threads have used so far, in microseconds (proc_pid_stat(5)). */
export const cpuMicroseconds = (pid: number): number => ticksOf(`/proc/${pid}/stat`, [11, 12])

/** The same of this process, with all its children that have ended. */
export const ownCpuMicroseconds = (): number => ticksOf('/proc/self/stat', [11, 12, 13, 14])

/** The processor time that all programs have used so far, and what a host has taken from the machine (proc_stat(5)). */
export const machineCpuMicroseconds = (): number => ticksOf('/proc/stat', [0, 1, 2, 7])

/** Sums up fields of a file's first line, counted from behind its name: one in parentheses may hold spaces. */
function ticksOf(file: string, fields: readonly number[]): number {
  const [line = ''] = readFileSync(file, 'utf8').split('\n', 1)
  const ticks = line
    .replace(/^(.*\)|cpu) +/, '')
    .split(' ')
    .map(Number)
  return (fields.reduce((sum, field) => sum + (ticks[field] ?? Number.NaN), 0) / ticksPerSecond) * 1e6
}

/** The same, of a process and all its descendants: Postgres works in processes of its own. */
export const treeCpuMicroseconds = (pid: number): number =>
  childrenOf(pid).reduce((sum, child) => sum + treeCpuMicroseconds(child), cpuMicroseconds(pid))

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
