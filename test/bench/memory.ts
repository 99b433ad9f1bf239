import { readFileSync } from 'node:fs'

/** A process's resident memory, now or at its most, in KiB (proc_pid_status(5)). */
export function residentKib(pid: number, field: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  const [, kib] =
    new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib)
}
