import { afterEach, describe, expect, it, vi } from 'vitest'
import { startHttp, unusedPort } from '../../test/local-servers.ts'
import { startMcpServer } from '../../test/mcp-servers.ts'
import { MCP_PATHS, type McpTransport } from './endpoint.ts'
import { probeMcpServer } from './probe.ts'

afterEach(() => {
  vi.useRealTimers()
})

const probe = (port: number, transport: McpTransport = 'v2', path = MCP_PATHS[transport]) =>
  probeMcpServer({ port, transport, path })

describe('probeMcpServer', () => {
  it.each(['v1', 'v2'] as const)(
    'has a server of %s introduce itself, with all of its tools',
    async (transport) => {
      const { port } = await startMcpServer(transport)
      const server = { name: 'Demo Calculator', version: '1.2.3', tools: ['add', 'subtract'] }
      expect(await probe(port, transport)).toEqual(server)
    },
  )

  it('refuses where nothing listens, and says what was tried', async () => {
    const port = await unusedPort()
    await expect(probe(port)).rejects.toMatchObject({
      error: 'no_mcp_server',
      message: `No MCP server answers at http://localhost:${port}/mcp (ECONNREFUSED); try --mcp-path PATH, or --transport v1 (HTTP+SSE)`,
    })
  })

  it.each<[McpTransport, McpTransport]>([
    ['v1', 'v2'],
    ['v2', 'v1'],
  ])('refuses a server of %s that is looked for as %s', async (spoken, asked) => {
    const { port } = await startMcpServer(spoken)
    await expect(probe(port, asked)).rejects.toMatchObject({ error: 'no_mcp_server' })
  })

  it.each([
    ['a page', 200, 'text/html', '<html>'],
    ['other JSON', 200, 'application/json', '{"hello":"world"}'],
    ['an error', 500, 'text/plain', 'Internal Server Error'],
  ])('refuses where %s is answered', async (_what, status, type, body) => {
    const { port } = await startHttp((_request, response) => {
      response.writeHead(status, { 'content-type': type }).end(body)
    })
    await expect(probe(port)).rejects.toMatchObject({ error: 'no_mcp_server' })
    await expect(probe(port, 'v1')).rejects.toMatchObject({ error: 'no_mcp_server' })
  })

  it('takes a server that asks for authorization for one, whose tools it may not see', async () => {
    const { port } = await startHttp((_request, response) => {
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end()
    })
    for (const transport of ['v1', 'v2'] as const)
      expect(await probe(port, transport)).toEqual({ name: 'MCP server', version: '', tools: undefined })
  })

  it('does not wait for a server that says nothing', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const asked = Promise.withResolvers<void>()
    const { port } = await startHttp(() => asked.resolve())
    const refused = expect(probe(port)).rejects.toMatchObject({
      message: expect.stringContaining('(timeout)'),
    })
    await asked.promise
    vi.advanceTimersByTime(10_000)
    await refused
  })
})
