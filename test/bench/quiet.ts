import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { machineCpuMicroseconds, ownCpuMicroseconds, treeCpuMicroseconds } from './cpu.ts'

/** What other programs may take of the machine in a run that counts. */
const othersShareMax = 0.03
/** So long nobody else may have worked before a run begins. */
const lookMs = 300
const triesMax = 3

/** What a run gave, and whether other programs took so much of the machine meanwhile that it says little. */
export interface Run<T> {
  readonly value: T
  readonly isDisturbed: boolean
}

/** Measures when the machine is quiet; these processes count as the bench's own. */
export type WhenQuiet = <T>(pids: readonly number[], run: () => Promise<T>) => Promise<Run<T>>

/**
 * Has runs wait for a machine that other programs leave alone, and does them again where those come back; of several
 * tries the quietest counts. After so many minutes of waiting, all in all, it takes what comes. `standing` are the
 * processes of the bench's own that run all the time.
 */
export function createWhenQuiet(standing: () => readonly number[], patienceMinutes: number): WhenQuiet {
  let patienceMs = patienceMinutes * 60_000
  const quiet = async (pids: readonly number[]) => {
    while (patienceMs > 0 && (await watched(pids, () => delay(lookMs))).othersShare > othersShareMax)
      patienceMs -= lookMs
  }
  return async (ofRun, run) => {
    const pids = [...new Set([...standing(), ...ofRun])]
    await quiet(pids)
    let best = await watched(pids, run)
    for (let tries = 1; tries < triesMax && best.othersShare > othersShareMax && patienceMs > 0; tries++) {
      patienceMs -= best.tookMs
      await quiet(pids)
      const next = await watched(pids, run)
      if (next.othersShare < best.othersShare) best = next
    }
    return { value: best.value, isDisturbed: best.othersShare > othersShareMax }
  }
}

async function watched<T>(pids: readonly number[], run: () => Promise<T>) {
  const begun = performance.now()
  const before = othersMicroseconds(pids)
  const value = await run()
  const tookMs = performance.now() - begun
  const others = othersMicroseconds(pids) - before
  return { value, tookMs, othersShare: others / (tookMs * 1000 * availableParallelism()) }
}

const othersMicroseconds = (pids: readonly number[]): number =>
  machineCpuMicroseconds() - pids.reduce((sum, pid) => sum + treeCpuMicroseconds(pid), ownCpuMicroseconds())
