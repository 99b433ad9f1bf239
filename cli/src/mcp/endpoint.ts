/** How MCP is spoken over HTTP: v1 is HTTP with server-sent events, v2 streamable HTTP. */
export type McpTransport = 'v1' | 'v2'

/** Where each is spoken unless somebody says otherwise. */
export const MCP_PATHS: Readonly<Record<McpTransport, string>> = { v1: '/sse', v2: '/mcp' }

/** An MCP server as it introduces itself. */
export interface McpServer {
  readonly name: string
  readonly version: string
  /** The names of its tools; undefined where it shows them to nobody whom it does not know. */
  readonly tools: readonly string[] | undefined
}

/** An MCP server behind a tunnel. */
export interface McpEndpoint extends McpServer {
  readonly transport: McpTransport
  /** Where clients reach it. */
  readonly url: string
  /** What a client's configuration says of it. */
  readonly configuration: object
}

/** The endpoint of a server that is reachable under this address. */
export function mcpEndpoint(
  server: McpServer,
  { site, transport, path }: { site: string; transport: McpTransport; path: string },
): McpEndpoint {
  const url = new URL(path, site).href
  const type = transport === 'v1' ? 'sse' : 'http'
  return { ...server, transport, url, configuration: { mcpServers: { [keyOf(server.name)]: { type, url } } } }
}

/** Clients show the key, and some take no more than this in it. */
const keyOf = (name: string) =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^-+|-+$/g, '') || 'server'
