import { availableParallelism } from 'node:os'
import { cpuMicroseconds, machineCpuMicroseconds, ownCpuMicroseconds } from '../cpu.ts'

/** What other programs may take of the machine in a run that counts. */
const othersShareMax = 0.03
const triesMax = 3

/** What a run gave, and what other programs took of the machine meanwhile. */
export interface Run<T> {
  readonly value: T
  readonly othersShare: number
}

/** Does it again while other programs take too much of the machine, a few times at most; the quietest run counts. */
export async function whenQuiet<T>(pids: readonly number[], run: () => Promise<T>): Promise<Run<T>> {
  let quietest: Run<T> | undefined
  for (let tries = 0; tries < triesMax; tries++) {
    const next = await watched(pids, run)
    if (!quietest || next.othersShare < quietest.othersShare) quietest = next
    if (quietest.othersShare <= othersShareMax) break
  }
  return quietest as Run<T>
}

/** Whether others have taken so much that a run says little. */
export const isDisturbed = ({ othersShare }: Run<unknown>): boolean => othersShare > othersShareMax

async function watched<T>(pids: readonly number[], run: () => Promise<T>): Promise<Run<T>> {
  const ours = () => pids.reduce((sum, pid) => sum + cpuMicroseconds(pid), ownCpuMicroseconds())
  const others = () => machineCpuMicroseconds() - ours()
  const [begun, before] = [performance.now(), others()]
  const value = await run()
  const took = (performance.now() - begun) * 1000 * availableParallelism()
  return { value, othersShare: Math.max(0, (others() - before) / took) }
}
