import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { cpuMicroseconds, machineCpuMicroseconds, ownCpuMicroseconds } from '../cpu.ts'

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

/** Measures when the machine is quiet. */
export type WhenQuiet = <T>(run: () => Promise<T>) => Promise<Run<T>>

/**
 * Has runs wait for a machine that other programs leave alone, and does them again where those come back; of several
 * tries the quietest counts. After so many minutes of waiting, all in all, it takes what comes. `pids` are no others.
 */
export function createWhenQuiet(pids: readonly number[], patienceMinutes: number): WhenQuiet {
  let patienceMs = patienceMinutes * 60_000
  const watched = async <T>(run: () => Promise<T>) => {
    const begun = performance.now()
    const before = othersMicroseconds(pids)
    const value = await run()
    const tookMs = performance.now() - begun
    const others = othersMicroseconds(pids) - before
    return { value, tookMs, othersShare: others / (tookMs * 1000 * availableParallelism()) }
  }
  const quiet = async () => {
    while (patienceMs > 0 && (await watched(() => delay(lookMs))).othersShare > othersShareMax)
      patienceMs -= lookMs
  }
  return async (run) => {
    await quiet()
    let best = await watched(run)
    for (let tries = 1; tries < triesMax && best.othersShare > othersShareMax && patienceMs > 0; tries++) {
      patienceMs -= best.tookMs
      await quiet()
      const next = await watched(run)
      if (next.othersShare < best.othersShare) best = next
    }
    return { value: best.value, isDisturbed: best.othersShare > othersShareMax }
  }
}

const othersMicroseconds = (pids: readonly number[]): number =>
  machineCpuMicroseconds() - pids.reduce((sum, pid) => sum + cpuMicroseconds(pid), ownCpuMicroseconds())
