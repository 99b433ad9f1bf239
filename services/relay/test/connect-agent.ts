import { type ClientRequest, type IncomingHttpHeaders, request } from 'node:http'
import { CONNECT_HEADER } from '@instatunnel/kit/connect'
import { AGENT_HEADER, connectPath, GENERATION_HEADER } from '@instatunnel/kit/connect-request'
import { type PlayedEnd, playAgentOn } from './played-agent.ts'

/** How an agent asks to be connected, as the gateway passes it on. */
export interface AgentRequest {
  /** The connect token, as auth gave it. */
  readonly token: string
  readonly tunnelId: string
  readonly agent?: string
  readonly generation?: number | string
  readonly path?: string
  readonly headers?: Record<string, string>
}

/** An agent that is connected. */
export interface Admitted extends PlayedEnd {
  readonly status: 101
  readonly headers: IncomingHttpHeaders
}

/** An agent that was refused. */
export interface Refused {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  // biome-ignore lint/suspicious/noExplicitAny: tests assert on whatever was answered
  readonly body: any
}

const usual = 'agent-of-16-chars'

/** The request, not yet sent. */
export function agentRequest(port: number, asked: AgentRequest): ClientRequest {
  const { token, tunnelId, agent = usual, generation = 1, path = connectPath(tunnelId), headers } = asked
  return request({
    host: '127.0.0.1',
    port,
    path,
    agent: false,
    headers: {
      connection: 'upgrade',
      upgrade: 'instatunnel',
      [CONNECT_HEADER]: token,
      [AGENT_HEADER]: agent,
      [GENERATION_HEADER]: String(generation),
      ...headers,
    },
  })
}

/** Connects an agent; tells how that was answered. */
export function askToConnect(port: number, asked: AgentRequest): Promise<Admitted | Refused> {
  return new Promise((resolve, reject) => {
    const sent = agentRequest(port, asked)
    sent.on('error', reject)
    sent.on('upgrade', ({ headers }, socket, head) =>
      resolve(Object.assign(playAgentOn(socket, head), { status: 101 as const, headers })),
    )
    sent.on('response', async (answer) => {
      const pieces = await answer.toArray()
      const body = JSON.parse(Buffer.concat(pieces).toString())
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body })
    })
    sent.end()
  })
}
