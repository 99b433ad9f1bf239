import { moveToMeasured, startMeasured } from '../cores.ts'
import { meterCpu } from '../cpu.ts'
import { answeredBytes } from '../idle/backend.ts'
import { startGateway } from '../idle/gateway.ts'
import { startIdle } from '../idle/start.ts'
import { applyLoad } from '../wrk.ts'
import { IN_FLIGHT } from './check-entrant.ts'
import { goalsOf, names } from './goals.ts'
import type { Part } from './measured.ts'
import { type Entrant, measureInTurns, runOf } from './rounds.ts'
import { formatRuns } from './runs-table.ts'

/** GET /v1/tunnels through Envoy to a backend that does nothing: with auth, with a Check that does nothing, without. */
export const chain: Part = async ({ platform, whenQuiet, seconds }) => {
  await using closing = new AsyncDisposableStack()
  const stopLater = <Server extends { stop(): Promise<unknown> }>(server: Server): Server => {
    closing.defer(async () => void (await server.stop()))
    return server
  }
  const started = async (name: 'check' | 'backend') => stopLater(await startIdle(name, startMeasured))
  const [check, backend] = await Promise.all([started('check'), started('backend')])
  const entrant = async (name: string, auth?: { port: number; pid: number }): Promise<Entrant> => {
    const envoy = stopLater(
      await startGateway(
        { check: (auth ?? check).port, tunnels: backend.port },
        { concurrency: 1, ...(auth ? {} : { edit: withoutAuth }) },
      ),
    )
    await moveToMeasured(envoy.pid)
    const pids = { envoy: envoy.pid, ...(auth ? { auth: auth.pid } : {}), backend: backend.pid }
    const place = { port: envoy.port, host: 'localhost' }
    const load = {
      path: '/v1/tunnels',
      answerBytes: answeredBytes,
      authorization: `Bearer ${platform.apiKey}`,
    }
    return {
      name,
      pids,
      async run(loadSeconds) {
        const used = meterCpu(pids)
        const met = await applyLoad(place, load, { connections: IN_FLIGHT, seconds: loadSeconds })
        return runOf({ ...met, count: met.requests }, used())
      },
    }
  }
  const entrants = [
    await entrant(names.without),
    await entrant(names.grpcJs, check),
    await entrant(names.key, { port: platform.checkPort, pid: platform.authPid() }),
  ]
  const results = await measureInTurns(entrants, { seconds, whenQuiet })
  return {
    table: formatRuns(
      { title: 'GET /v1/tunnels, 32 connections', unit: 'requests', of: [names.without] },
      results,
    ),
    goals: goalsOf.chain(results),
    results,
  }
}

/** A filter that is disabled costs nothing. */
const withoutAuth = (file: string, text: string) =>
  file === 'http.yaml' ? text.replace(/^( *)- name: (auth|decided)\n/gm, '$&$1  disabled: true\n') : text
