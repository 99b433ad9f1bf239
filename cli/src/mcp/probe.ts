import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { causeOf } from '../api.ts'
import { Refused } from '../exit.ts'
import { version } from '../version.ts'
import type { McpServer, McpTransport } from './endpoint.ts'

/** A server that takes longer to introduce itself is taken for none. */
const PROBE_MS = 10_000
const UNAUTHORIZED = 401

/** Where an MCP server is looked for. */
export interface Probed {
  readonly port: number
  readonly transport: McpTransport
  readonly path: string
}

/** Has the MCP server on a port introduce itself, as a client would. Refuses where there is none. */
export async function probeMcpServer({ port, transport, path }: Probed): Promise<McpServer> {
  const url = new URL(path, `http://localhost:${port}`)
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js')
  const client = new Client({ name: 'instatunnel', version })
  const tooLate = Promise.withResolvers<never>()
  const timer = setTimeout(() => tooLate.reject(new Error('timeout')), PROBE_MS)
  try {
    return await Promise.race([introduced(client, await open(url, transport)), tooLate.promise])
  } catch (error) {
    if (isUnauthorized(error)) return { name: 'MCP server', version: '', tools: undefined }
    throw new Refused('no_mcp_server', noServer(url, transport, error))
  } finally {
    clearTimeout(timer)
    await client.close().catch(() => {})
  }
}

async function open(url: URL, transport: McpTransport): Promise<Transport> {
  if (transport === 'v1') {
    const { SSEClientTransport } = await import('@modelcontextprotocol/sdk/client/sse.js')
    return new SSEClientTransport(url)
  }
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js')
  return new StreamableHTTPClientTransport(url) as Transport
}

async function introduced(client: Client, transport: Transport): Promise<McpServer> {
  await client.connect(transport)
  const { name = 'MCP server', version = '' } = client.getServerVersion() ?? {}
  const tools: string[] = []
  for (let cursor: string | undefined, more = client.getServerCapabilities()?.tools !== undefined; more; ) {
    const page = await client.listTools({ cursor })
    tools.push(...page.tools.map((tool) => tool.name))
    cursor = page.nextCursor
    more = cursor !== undefined
  }
  if ('terminateSession' in transport && typeof transport.terminateSession === 'function')
    await transport.terminateSession().catch(() => {}) // it was for looking only
  return { name, version, tools }
}

const isUnauthorized = (error: unknown): boolean =>
  error instanceof Error &&
  (error.name === 'UnauthorizedError' || ('code' in error && error.code === UNAUTHORIZED))

function noServer(url: URL, transport: McpTransport, error: unknown): string {
  const cause = causeOf(error instanceof Error && error.cause !== undefined ? error.cause : error)
  const other = transport === 'v2' ? 'v1 (HTTP+SSE)' : 'v2 (streamable HTTP)'
  return `No MCP server answers at ${url.href} (${cause}); try --mcp-path PATH, or --transport ${other}`
}
