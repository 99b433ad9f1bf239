import { moveToMeasured } from '../cores.ts'
import { meterCpu, treeOf } from '../cpu.ts'
import { applyLoad } from '../wrk.ts'
import { type BetterAuth, type Configuration, startBetterAuth } from './better-auth/start.ts'
import { checkEntrant, IN_FLIGHT } from './check-entrant.ts'
import { goalsOf, names } from './goals.ts'
import type { Bench, Part } from './measured.ts'
import { type Entrant, measureInTurns, runOf } from './rounds.ts'
import { formatRuns } from './runs-table.ts'
import { verifyEntrant } from './verify-entrant.ts'

const VERIFY = 'VerifyKey of keys'

/** {"valid":true} */
const answerBytes = 14

/** Verifying a key, beside better-auth's plugin for API keys on the same Postgres. */
export const besideBetterAuth: Part = async (bench) => {
  const { platform, whenQuiet, seconds } = bench
  await using closing = new AsyncDisposableStack()
  const postgres = platform.stack.postgres.process().pid
  for (const pid of treeOf(postgres)) await moveToMeasured(pid)
  const entrants: Entrant[] = [
    checkEntrant(names.check, { port: platform.checkPort, pids: platform.pids(), bearer: platform.apiKey }),
    verifyEntrant(VERIFY, platform),
  ]
  for (const name of [names.betterAuth, names.secondary, names.fastest] as const) {
    const started = await start(name, bench)
    if (!started) continue
    closing.defer(async () => void (await started.stop()))
    entrants.push(betterAuthEntrant(name, started, postgres))
  }
  const results = await measureInTurns(entrants, { seconds, whenQuiet })
  return {
    table: formatRuns({ title: 'verifying a key, 32 at a time', unit: 'verifications' }, results),
    goals: goalsOf.betterAuth(results),
    results,
  }
}

/** Where it cannot be had, the rest is measured without it. */
const start = (name: Configuration, { platform }: Bench) =>
  startBetterAuth(name, platform.stack.postgres.url).catch((error: Error) =>
    console.error(`${name} is left out: ${error.message}`),
  )

function betterAuthEntrant(name: string, { port, pid, key }: BetterAuth, postgres: number): Entrant {
  const pids = { node: pid, postgres }
  return {
    name,
    pids,
    async run(seconds) {
      const used = meterCpu(pids)
      const load = { path: '/', answerBytes, authorization: `Bearer ${key}` }
      const met = await applyLoad({ port, host: 'localhost' }, load, { connections: IN_FLIGHT, seconds })
      return runOf({ ...met, count: met.requests }, used())
    },
  }
}
