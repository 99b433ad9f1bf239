import { randomUUID } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import type { McpTransport } from '../src/mcp/endpoint.ts'
import { startHttp } from './local-servers.ts'

const TOOLS = ['add', 'subtract']

/**
 * A real MCP server on a port of its own, for this test, with the tools "add" and "subtract" on two pages. As it
 * should, it answers nobody who takes it for another host than localhost.
 */
export async function startMcpServer(transport: McpTransport): Promise<{ port: number }> {
  const serve = transport === 'v1' ? serveV1() : serveV2()
  return startHttp((request, response) => {
    if (/^(localhost|127\.0\.0\.1):\d+$/.test(request.headers.host ?? '')) serve(request, response)
    else response.writeHead(403).end()
  })
}

function serveV1(): RequestListener {
  const sessions = new Map<string, SSEServerTransport>()
  return async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost')
    if (pathname === '/sse' && request.method === 'GET') {
      const transport = new SSEServerTransport('/messages', response)
      sessions.set(transport.sessionId, transport)
      await calculator().connect(transport)
      return
    }
    const transport = pathname === '/messages' && sessions.get(searchParams.get('sessionId') ?? '')
    if (transport) await transport.handlePostMessage(request, response)
    else response.writeHead(404).end()
  }
}

function serveV2(): RequestListener {
  const sessions = new Map<string, StreamableHTTPServerTransport>()
  return async (request, response) => {
    if (request.url !== '/mcp') {
      response.writeHead(404).end()
      return
    }
    const id = request.headers['mcp-session-id']
    const known = sessions.get(String(id))
    const transport =
      known ??
      new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (made) => {
          sessions.set(made, transport)
        },
      })
    if (!known) await calculator().connect(transport as Transport)
    await transport.handleRequest(request, response)
  }
}

function calculator(): Server {
  const server = new Server({ name: 'Demo Calculator', version: '1.2.3' }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, ({ params }) => {
    const at = Number(params?.cursor ?? 0)
    const tools = TOOLS.slice(at, at + 1).map((name) => ({ name, inputSchema: { type: 'object' as const } }))
    return at + 1 < TOOLS.length ? { tools, nextCursor: String(at + 1) } : { tools }
  })
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
    const { a, b } = params.arguments as { a: number; b: number }
    return { content: [{ type: 'text', text: String(params.name === 'add' ? a + b : a - b) }] }
  })
  return server
}
