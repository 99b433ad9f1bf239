import { fileURLToPath } from 'node:url'
import { portOrFree } from '@instatunnel/local/ports'
import { startMeasured } from '../cores.ts'
import { type Idle, startIdle } from '../idle/start.ts'
import { builtModule } from '../tools.ts'
import { waitForPort } from '../wait.ts'
import { checkEntrant } from './check-entrant.ts'
import { goalsOf, names } from './goals.ts'
import type { Part } from './measured.ts'
import { type Entrant, measureInTurns } from './rounds.ts'
import { formatRuns } from './runs-table.ts'

/** Check by itself, with what it needs in memory, beside servers on grpc-js and grpc-go that admit everything. */
export const alone: Part = async ({ platform, whenQuiet, seconds }) => {
  await using closing = new AsyncDisposableStack()
  const auth = { port: platform.checkPort, pids: { server: platform.authPid() } }
  const entrants: Entrant[] = [
    checkEntrant(names.key, { ...auth, bearer: platform.apiKey }),
    checkEntrant('auth, session', { ...auth, bearer: platform.sessionToken }),
  ]
  for (const [name, start] of Object.entries({
    [names.grpcJs]: () => startIdle('check', startMeasured),
    [names.go]: startGo,
  })) {
    const peer = await start().catch((error: Error) => console.error(`${name} is left out: ${error.message}`))
    if (!peer) continue
    closing.defer(async () => void (await peer.stop()))
    const { port, pid } = peer
    entrants.push(checkEntrant(name, { port, pids: { server: pid }, bearer: platform.apiKey }))
  }
  const results = await measureInTurns(entrants, { seconds, whenQuiet })
  return {
    table: formatRuns({ title: 'Check, 32 in flight', unit: 'calls', of: [names.grpcJs, names.go] }, results),
    goals: goalsOf.alone(results),
    results,
  }
}

async function startGo(): Promise<Idle> {
  const command = await builtModule('check-go', fileURLToPath(new URL('./go', import.meta.url)))
  const port = await portOrFree(0)
  const running = await startMeasured({ name: 'check in Go', command, args: [`${port}`] })
  await waitForPort(port, running)
  return { port, pid: running.pid, stop: running.stop }
}
