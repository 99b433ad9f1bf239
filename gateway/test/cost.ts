import { readdirSync, readFileSync } from 'node:fs'

/**
 * Milliseconds that a process is on processors while something is done, of several times the least: other load shows
 * least in it.
 */
export async function leastCpuOf(pid: number, times: number, run: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let n = 0; n < times; n++) {
    const before = cpuOf(pid)
    await run()
    least = Math.min(least, cpuOf(pid) - before)
  }
  return least
}

/** Milliseconds on processors so far, of all threads (Documentation/scheduler/sched-stats.rst of the Linux kernel). */
function cpuOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const times = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8'))
  return times.reduce((sum, text) => sum + Number(text.split(' ', 1)[0]), 0) / 1e6
}

/** The most bytes of memory that a process has had so far (proc_pid_status(5)). */
export function peakMemoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
}
