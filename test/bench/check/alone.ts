import { fileURLToPath } from 'node:url'
import { portOrFree } from '@instatunnel/local/ports'
import { startMeasured } from '../cores.ts'
import { type Idle, startIdle } from '../idle/start.ts'
import { builtModule } from '../tools.ts'
import { waitForPort } from '../wait.ts'
import { checkEntrant } from './check-entrant.ts'
import type { Part } from './measured.ts'
import { type Entrant, measureInTurns, totalCpu } from './rounds.ts'
import { compare, formatRuns } from './runs-table.ts'

const GRPC_JS = 'grpc-js, does nothing'
const GO = 'Go, does nothing'
const OURS = 'auth, API key'

/** Check by itself, with what it needs in memory, beside servers on grpc-js and grpc-go that admit everything. */
export const alone: Part = async ({ platform, whenQuiet, seconds }) => {
  await using closing = new AsyncDisposableStack()
  const auth = { port: platform.checkPort, pids: { server: platform.authPid() } }
  const entrants: Entrant[] = [
    checkEntrant(OURS, { ...auth, bearer: platform.apiKey }),
    checkEntrant('auth, session', { ...auth, bearer: platform.sessionToken }),
  ]
  for (const [name, start] of Object.entries({
    [GRPC_JS]: () => startIdle('check', startMeasured),
    [GO]: startGo,
  })) {
    const peer = await start().catch((error: Error) => console.error(`${name} is left out: ${error.message}`))
    if (!peer) continue
    closing.defer(async () => void (await peer.stop()))
    const { port, pid } = peer
    entrants.push(checkEntrant(name, { port, pids: { server: pid }, bearer: platform.apiKey }))
  }
  const results = await measureInTurns(entrants, { seconds, whenQuiet })
  const cpu = (other: string) => compare(results, OURS, other, totalCpu)
  const rate = (other: string) => compare(results, OURS, other, ({ perSecond }) => perSecond)
  return {
    table: formatRuns({ title: 'Check, 32 in flight', unit: 'calls', of: [GRPC_JS, GO] }, results),
    goals: [
      { says: "Check: µs a call, of grpc-js's", atMost: 0.6, measured: cpu(GRPC_JS) },
      { says: "Check: calls/s, of grpc-js's", atLeast: 1.7, measured: rate(GRPC_JS) },
      { says: "Check: µs a call, of Go's", atMost: 1.3, measured: cpu(GO) },
    ],
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
