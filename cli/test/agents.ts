import { onTestFinished } from 'vitest'
import { type AgentEnd, type AgentEvent, type AgentOptions, runAgent } from '../src/agent/agent.ts'
import { type AgentConnection, type RelayEnd, startRelayEnd } from './relay-end.ts'

/** An agent that runs. */
export interface RunningAgent {
  readonly events: AgentEvent[]
  readonly ended: Promise<AgentEnd>
  stop(): void
}

/** Starts an agent for this test. */
export function startAgent(
  relay: Pick<RelayEnd, 'url'>,
  options: Partial<AgentOptions> & { port: number },
): RunningAgent {
  const stopping = new AbortController()
  const events: AgentEvent[] = []
  const ended = runAgent({
    api: relay.url,
    credential: 'it_1234567890abcdef',
    tunnelId: 'tun_1',
    signal: stopping.signal,
    on: (event) => events.push(event),
    ...options,
  })
  onTestFinished(async () => {
    stopping.abort()
    await ended
  })
  return { events, ended, stop: () => stopping.abort() }
}

/** An agent in front of this port, connected. */
export async function connectedAgent(
  port: number,
  options: Partial<AgentOptions> = {},
): Promise<RunningAgent & AgentConnection & { relay: RelayEnd }> {
  const relay = await startRelayEnd()
  const agent = startAgent(relay, { port, ...options })
  return { ...agent, ...(await relay.connection()), relay, ended: agent.ended } as never
}
