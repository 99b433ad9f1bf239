import type { AgentEvent } from '../agent/agent.ts'
import type { Tunnel } from '../calls/tunnels.ts'
import type { McpEndpoint } from '../mcp/endpoint.ts'

/** Shows how a tunnel fares while the command runs. */
export interface Display {
  /** The tunnel that is carried from now on. */
  tunnel(tunnel: Tunnel): void
  /** What MCP clients find behind it. */
  mcp(endpoint: McpEndpoint): void
  event(event: AgentEvent): void
  /** A remark beside all that. */
  note(line: string): void
  /** The command is told to stop, and finishes what is in flight. */
  stopping(): void
  /** Nothing is shown any more, and the terminal is as it was. */
  close(): void
}
