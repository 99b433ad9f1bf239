import { type AgentEnd, runAgent } from '../agent/agent.ts'
import type { Api } from '../api.ts'
import { Refused } from '../exit.ts'
import type { Display } from '../show/display.ts'
import type { Claim } from './claim.ts'

/** What a run needs. */
export interface RunOptions {
  readonly api: Api
  readonly credential: string
  readonly claim: Claim
  readonly mode: '' | 'mcp'
  readonly port: number
  /** What the local server is told for a Host; undefined for what the visitor said. */
  readonly host: string | undefined
  readonly signal: AbortSignal
  readonly display: Display
}

/** Carries a tunnel until it is stopped; throws why where it must not be carried any more. */
export async function runTunnel({ claim, display, ...options }: RunOptions): Promise<void> {
  let current: Claim | undefined = claim
  try {
    while (current) {
      display.tunnel(current.tunnel)
      const end = await runAgent({
        ...options,
        api: options.api.url,
        tunnelId: current.tunnel.id,
        on: (event) => display.event(event),
      })
      if (end.kind === 'stopped') return
      const renewed: Claim | undefined = isGone(end) ? await current.renew() : undefined
      if (!renewed) throw failureOf(end)
      current = renewed
    }
  } finally {
    await current?.release()
  }
}

/** True where the API has let the tunnel go, as it does with those of a command that is away for long. */
const isGone = (end: AgentEnd): boolean => end.kind === 'refused' && end.error.status === 404

const failureOf = (end: Exclude<AgentEnd, { kind: 'stopped' }>): Error =>
  end.kind === 'refused' ? end.error : new Refused(end.reason, end.message)
