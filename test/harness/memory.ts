import { readFileSync, writeFileSync } from 'node:fs'

/** How much memory a process takes, and has taken at most. */
export interface Memory {
  /** By how many bytes it has grown, at the most, since grownSince() was asked for. */
  grown(): number
}

/** Watches a process's resident memory from now on; the kernel itself keeps its peak, so that nothing is missed. */
export function watchMemory(pid: number): Memory {
  writeFileSync(`/proc/${pid}/clear_refs`, '5') // begins the peak anew: proc_pid_clear_refs(5)
  const base = kibibytes(pid, 'VmRSS')
  return { grown: () => (kibibytes(pid, 'VmHWM') - base) * 1024 }
}

function kibibytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const [, value] =
    new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  if (value === undefined) throw new Error(`process ${pid} has no ${field}`)
  return Number(value)
}
