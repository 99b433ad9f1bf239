import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** The processor time that a process and its threads have used so far, in microseconds (proc_pid_stat(5)). */
export function cpuMicroseconds(pid: number): number {
  // The command's name, in parentheses, may hold spaces: fields are counted from behind it.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return ((Number(stat[11]) + Number(stat[12])) / ticksPerSecond) * 1e6
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
