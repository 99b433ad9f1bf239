import type { McpEndpoint } from '../mcp/endpoint.ts'
import { jsonText, printable } from '../terminal-text.ts'

/** An MCP server and its tools, and what to paste into a client's configuration. */
export function mcpLines({ name, version, tools, configuration }: McpEndpoint): string[] {
  const shown = tools === undefined ? 'shown to clients that it knows' : tools.join(', ') || 'none'
  return [
    printable(`🧩 MCP server: ${name} ${version}`),
    printable(`🔧 Tools: ${shown}`),
    '📋 Configuration for MCP clients:',
    ...jsonText(configuration, 2).split('\n'),
  ]
}
