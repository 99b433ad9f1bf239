import type { FieldViolation } from './refusal.ts'

/** The protocol that an agent asks the gateway to switch its connection to. */
export const CONNECT_UPGRADE = 'instatunnel'

/** Header of the request: which agent asks, 16 to 64 of [0-9A-Za-z_-], random for each process. */
export const AGENT_HEADER = 'instatunnel-agent'

/** Header of the request: 1 for the first connection of that agent, and one more for each that follows. */
export const GENERATION_HEADER = 'instatunnel-generation'

/** Header of the answer: the connection's id. */
export const CONNECTION_HEADER = 'instatunnel-connection'

/** Header of the answer: where the tunnel is reachable. */
export const URL_HEADER = 'instatunnel-url'

/** How an agent connects: "mcp" in front of an MCP server, otherwise empty. */
export type ConnectMode = '' | 'mcp'

/** What a connect path asks for. */
export interface ConnectTarget {
  /** What stands where a tunnel's id is expected; not looked at. */
  readonly tunnelId: string
  readonly mode: ConnectMode
  /** What is wrong with the query; empty where it is as it should be. */
  readonly faults: readonly FieldViolation[]
}

/** The path, with its query, that an agent connects a tunnel by. */
export const connectPath = (tunnelId: string, { mode = '' }: { mode?: ConnectMode } = {}): string =>
  `/v1/tunnels/${encodeURIComponent(tunnelId)}/connect${mode && `?mode=${mode}`}`

/** Reads a path with its query; undefined where it is no connect path. */
export function parseConnectPath(path: string): ConnectTarget | undefined {
  const [, tunnelId, query = ''] = /^\/v1\/tunnels\/([^/?]+)\/connect(?:\?(.*))?$/s.exec(path) ?? []
  if (tunnelId === undefined) return undefined
  const given = [...new URLSearchParams(query)]
  const isMcp = given.some(([name]) => name === 'mode')
  return { tunnelId, mode: isMcp ? 'mcp' : '', faults: given.flatMap(faultIn) }
}

function faultIn([name, value]: [string, string], at: number, given: [string, string][]): FieldViolation[] {
  if (name !== 'mode') return [{ field: name, message: 'is no parameter of this call' }]
  if (given.findIndex(([other]) => other === name) !== at)
    return [{ field: name, message: 'must stand once' }]
  return value === 'mcp' ? [] : [{ field: name, message: 'must be mcp' }]
}
