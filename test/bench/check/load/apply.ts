import { fileURLToPath } from 'node:url'
import { startLoad } from '../../cores.ts'
import type { LoadOrder, LoadResult } from './lane.ts'

const generator = fileURLToPath(new URL('./generator.ts', import.meta.url))

/** Makes load in a process of its own; rejects at the first answer that is wrong. */
export async function applyCalls(order: LoadOrder): Promise<LoadResult> {
  const running = await startLoad({
    name: 'generator',
    command: process.execPath,
    args: [generator],
    env: { BENCH_LOAD: JSON.stringify(order) },
  })
  const { code } = await running.exited
  const told = running.lines().findLast((line) => line.startsWith('{'))
  if (code !== 0 || !told) throw new Error(`the load broke off: ${running.lines().join('\n')}`)
  return JSON.parse(told)
}
