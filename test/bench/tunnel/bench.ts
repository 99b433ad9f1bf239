import { missingCores } from '../cores.ts'
import { createWhenQuiet, type WhenQuiet } from '../quiet.ts'
import { writeResults } from '../results.ts'
import { programOnPath } from '../tools.ts'
import { bore } from './contenders/bore.ts'
import type { Contender } from './contenders/contender.ts'
import { direct } from './contenders/direct.ts'
import { behindEnvoy, relayAlone } from './contenders/instatunnel.ts'
import { localtunnel } from './contenders/localtunnel.ts'
import { rathole } from './contenders/rathole.ts'
import { type Entrant, enter } from './entrant.ts'
import { measureIdle } from './idle.ts'
import { startPlatform } from './platform.ts'
import { formatReport } from './report.ts'
import { type Result, summarize } from './result.ts'
import { type Round, runRound } from './round.ts'
import { startTarget, type Target } from './target.ts'

const ROUNDS = 3
/** How long to wait, in all, for other programs to leave the machine alone. */
const PATIENCE_MINUTES = 10

/**
 * Small requests and bulk through our tunnels and those of others, in turns in one run: what is measured on one core,
 * load and target on another. Machines are noisy: read the ratios.
 */
export async function benchTunnel(seconds: number): Promise<void> {
  const missing = await missingHere()
  if (missing) {
    console.error(`tunnels are not measured: ${missing}`)
    process.exitCode = 1
    return
  }
  await using closing = new AsyncDisposableStack()
  const target = closing.adopt(await startTarget(), (open) => open.stop())
  const platform = closing.adopt(await startPlatform(), (open) => open.stop())
  console.error('idle tunnels')
  const idle = await measureIdle(platform, target)
  const standing = [target.pid, ...platform.stack.processes().map(({ pid }) => pid)]
  const whenQuiet = createWhenQuiet(() => standing, PATIENCE_MINUTES)
  const contenders = [direct, relayAlone(platform), behindEnvoy(platform), bore, rathole, localtunnel]
  const entrants: Entrant[] = []
  for (const contender of contenders) {
    const entrant = await admit(contender, target, whenQuiet)
    if (entrant) entrants.push(closing.adopt(entrant, (open) => open.stop()))
  }
  const results = await measureAll(entrants, { target, seconds, whenQuiet })
  const file = await writeResults('bench-tunnel.json', { seconds, rounds: ROUNDS, results, idle })
  console.log(`${formatReport(results, idle)}\n\nAs JSON: ${file}`)
}

/** What to install first, if anything. */
async function missingHere(): Promise<string | undefined> {
  const cores = await missingCores()
  if (cores) return cores
  for (const program of ['wrk', 'nginx']) {
    if (!(await programOnPath(program)))
      return `${program} is not on PATH (on Debian: apt-get install wrk nginx)`
  }
  return undefined
}

/** Starts a contender; one of somebody else's that cannot be had is left out, with a line that says why. */
async function admit(
  contender: Contender,
  target: Target,
  whenQuiet: WhenQuiet,
): Promise<Entrant | undefined> {
  try {
    return await enter(contender, target, whenQuiet)
  } catch (error) {
    if (!contender.peer) throw error
    console.error(`${contender.name} is left out: ${(error as Error).message}`)
    return undefined
  }
}

async function measureAll(
  entrants: readonly Entrant[],
  options: Parameters<typeof runRound>[1],
): Promise<Result[]> {
  const rounds: Map<Entrant, Round>[] = []
  while (rounds.length < ROUNDS) {
    console.error(`round ${rounds.length + 1} of ${ROUNDS}`)
    rounds.push(await runRound(entrants, options))
  }
  return entrants.map((entrant) =>
    summarize(
      entrant,
      rounds.flatMap((round) => round.get(entrant) ?? []),
    ),
  )
}
