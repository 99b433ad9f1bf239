import { missingCores, moveToLoad } from '../cores.ts'
import { formatGoals, type Goal } from '../goals.ts'
import { createWhenQuiet } from '../quiet.ts'
import { writeResults } from '../results.ts'
import { programOnPath } from '../tools.ts'
import { alone } from './alone.ts'
import { besideBetterAuth } from './beside-better-auth.ts'
import { chain } from './chain.ts'
import { firstUse } from './first-use.ts'
import { manyKeys } from './many-keys.ts'
import type { Part } from './measured.ts'
import { metered } from './metered.ts'
import { startPlatform } from './platform.ts'
import { wrongKeys } from './wrong-keys.ts'

/** What is measured, by the name that --only takes. */
const parts = {
  alone,
  chain,
  metered,
  first: firstUse,
  'better-auth': besideBetterAuth,
  many: manyKeys,
  wrong: wrongKeys,
} satisfies Record<string, Part>

export type PartName = keyof typeof parts

/** Those names. */
export const partNames = Object.keys(parts) as PartName[]

/** How long to wait in a part, in all, for other programs to leave the machine alone. */
const PATIENCE_MINUTES = 2

/**
 * What a call costs that brings a credential: auth's Check, and all that is behind it, beside servers that do nothing and
 * beside better-auth, in turns in one run. Machines are noisy: read the ratios.
 */
export async function benchCheck(seconds: number, only: readonly PartName[] = partNames): Promise<void> {
  const missing = (await missingCores()) ?? (await missingWrk())
  if (missing) {
    console.error(`Check is not measured: ${missing}`)
    process.exitCode = 1
    return
  }
  await moveToLoad()
  await using closing = new AsyncDisposableStack()
  const platform = closing.adopt(await startPlatform(), (open) => open.stop())
  const goals: Goal[] = []
  const results: Record<string, object> = {}
  for (const name of only) {
    console.error(name)
    const standing = () => platform.stack.processes().map(({ pid }) => pid)
    const whenQuiet = createWhenQuiet(standing, PATIENCE_MINUTES)
    const measured = await parts[name]({ platform, whenQuiet, seconds })
    console.log(`${measured.table}\n`)
    goals.push(...measured.goals)
    results[name] = measured.results
  }
  const file = await writeResults('bench-check.json', { seconds, results, goals })
  console.log(`${formatGoals('Check', goals)}\n\nµs is processor time for each call. As JSON: ${file}`)
}

const missingWrk = async () =>
  (await programOnPath('wrk')) ? undefined : 'wrk is not on PATH (on Debian: apt-get install wrk)'
