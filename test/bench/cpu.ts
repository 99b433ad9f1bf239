import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Processes by the part they play. */
export type Pids = Readonly<Record<string, number>>

/** Begins to count the processor time of processes and all their descendants; tells each one's in microseconds. */
export function meterCpu(pids: Pids): () => Record<string, number> {
  const read = () => Object.entries(pids).map(([name, pid]) => [name, treeCpuMicroseconds(pid)] as const)
  const before = Object.fromEntries(read())
  return () => Object.fromEntries(read().map(([name, now]) => [name, now - (before[name] ?? Number.NaN)]))
}

/** Each one's share of a request, a call or whatever else was counted. */
export const perUnit = (used: Readonly<Record<string, number>>, count: number): Record<string, number> =>
  Object.fromEntries(Object.entries(used).map(([name, microseconds]) => [name, microseconds / count]))

/** The processor time that this process has used so far, with all its children that have ended (proc_pid_stat(5)). */
export const ownCpuMicroseconds = (): number => ofStat('self')

/** The processor time that all programs have used so far, and what a host has taken from the machine (proc_stat(5)). */
export const machineCpuMicroseconds = (): number => ticksOf('/proc/stat', [0, 1, 2, 7])

/** The same of a process and all its descendants: Postgres works in processes of its own. */
export const treeCpuMicroseconds = (pid: number): number =>
  treeOf(pid).reduce((sum, each) => sum + (each === pid ? ofStat(pid) : ofStatOrNone(each)), 0)

/** A process and all its descendants. */
export const treeOf = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(treeOf)]

const ofStat = (pid: number | 'self') => ticksOf(`/proc/${pid}/stat`, [11, 12, 13, 14])

/** A child that has ended meanwhile counts with its parent. */
function ofStatOrNone(pid: number): number {
  try {
    return ofStat(pid)
  } catch {
    return 0
  }
}

/** Sums up fields of a file's first line, counted from behind its name: one in parentheses may hold spaces. */
function ticksOf(file: string, fields: readonly number[]): number {
  const [line = ''] = readFileSync(file, 'utf8').split('\n', 1)
  const ticks = line
    .replace(/^(.*\)|cpu) +/, '')
    .split(' ')
    .map(Number)
  return (fields.reduce((sum, field) => sum + (ticks[field] ?? Number.NaN), 0) / ticksPerSecond) * 1e6
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
