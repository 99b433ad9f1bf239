import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fetchThrough } from './fetch-through.ts'
import { type Home, openHome } from './home.ts'
import { unusedPort } from './local-servers.ts'
import { startMcpServer } from './mcp-servers.ts'
import { startCommand } from './running.ts'

/** `instatunnel PORT --mcp` with real MCP servers and clients, on the whole platform. */

const admin = { email: 'admin@example.com', password: 'correct horse battery' }

let stack: TestStack
let people: Accounts
let home: Home

beforeAll(async () => {
  stack = await startTestStack({
    settings: { INSTATUNNEL_ADMIN_EMAIL: admin.email, INSTATUNNEL_ADMIN_PASSWORD: admin.password },
  })
  people = accountsOf(stack.call)
})
afterAll(() => stack.stop())
beforeEach(async () => {
  home = await openHome(stack.gateway.url)
})
afterEach(() => home.remove())

/** Somebody with this plan. */
async function somebodyOn(plan: 'free' | 'pro' | 'business'): Promise<Account> {
  const somebody = await people.register()
  const { token } = await people.login(admin)
  bodyOf(await stack.call('PATCH', `/v1/admin/users/${somebody.id}`, { token, body: { plan } }))
  return somebody
}

const start = (args: string, { apiKey }: Account) =>
  startCommand(home, args.split(' '), { INSTATUNNEL_API_KEY: apiKey })

const tunnels = async ({ token }: Account) =>
  bodyOf(await stack.call('GET', '/v1/tunnels', { token })).tunnels

/** What the configuration says of the one server in it, as a client reads it. */
function pasted(configuration: unknown): { type: string; url: string } {
  const { mcpServers } = configuration as { mcpServers: Record<string, { type: string; url: string }> }
  const [server] = Object.values(mcpServers)
  if (!server) throw new Error('it has no server')
  return server
}

/** A client that was given this configuration. */
async function connectClient(configuration: unknown): Promise<Client> {
  const { type, url } = pasted(configuration)
  const options = { fetch: fetchThrough(stack) }
  const transport =
    type === 'sse'
      ? new SSEClientTransport(new URL(url), options)
      : new StreamableHTTPClientTransport(new URL(url), options)
  const client = new Client({ name: 'story', version: '1' })
  await client.connect(transport as Transport)
  return client
}

describe('instatunnel PORT --mcp', () => {
  it.each([
    ['v2', '', 'http', '/mcp'],
    ['v2', ' --transport v2', 'http', '/mcp'],
    ['v1', ' --transport v1', 'sse', '/sse'],
  ] as const)(
    'shows a server of %s to MCP clients, which call its tools (%s)',
    async (spoken, option, type, path) => {
      const { port } = await startMcpServer(spoken)
      const running = start(`${port} --mcp --json${option}`, await somebodyOn('pro'))
      const { url } = await running.told('tunnel')
      const { configuration, ...server } = await running.told('mcp')
      expect(server).toMatchObject({
        name: 'Demo Calculator',
        version: '1.2.3',
        transport: spoken,
        tools: ['add', 'subtract'],
        url: `${url}${path}`,
      })
      expect(configuration).toEqual({ mcpServers: { 'demo-calculator': { type, url: `${url}${path}` } } })
      await running.told('connected')
      const client = await connectClient(configuration)
      expect(client.getServerVersion()).toMatchObject({ name: 'Demo Calculator' })
      expect((await client.listTools()).tools).toMatchObject([{ name: 'add' }])
      const { content } = await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } })
      expect(content).toEqual([{ type: 'text', text: '5' }])
      await client.close()
      expect(await running.stop()).toBe(0)
    },
  )

  it('prints what to paste into the configuration of a client', async () => {
    const { port } = await startMcpServer('v2')
    const running = start(`${port} --mcp`, await somebodyOn('business'))
    await running.says('→ http://localhost')
    const [before = '', after = ''] = running.stdout().split('📋 Configuration for MCP clients:\n')
    expect(before).toBe('🧩 MCP server: Demo Calculator 1.2.3\n🔧 Tools: add, subtract\n')
    const [json = ''] = after.split('🌐')
    const client = await connectClient(JSON.parse(json))
    expect((await client.callTool({ name: 'subtract', arguments: { a: 2, b: 3 } })).content).toEqual([
      { type: 'text', text: '-1' },
    ])
    await client.close()
  })

  it('is refused on the free plan, and leaves no tunnel behind', async () => {
    const { port } = await startMcpServer('v2')
    const somebody = await somebodyOn('free')
    const running = start(`${port} --mcp`, somebody)
    expect(await running.exited).toBe(1)
    expect(running.stderr()).toMatch(/❌ .*\bpro\b.*\bbusiness\b.*\n$/i)
    expect(await tunnels(somebody)).toEqual([])
  })

  it('fails before it makes a tunnel where no MCP server answers, and says what was tried', async () => {
    const somebody = await somebodyOn('pro')
    const port = await unusedPort()
    const running = start(`${port} --mcp --mcp-path /other`, somebody)
    expect(await running.exited).toBe(1)
    expect(running.stderr()).toBe(
      `❌ No MCP server answers at http://localhost:${port}/other (ECONNREFUSED); try --mcp-path PATH, or --transport v1 (HTTP+SSE)\n`,
    )
    expect(await tunnels(somebody)).toEqual([])
  })
})
