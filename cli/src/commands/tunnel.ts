import { Command, InvalidArgumentError, Option } from 'commander'
import { createApi } from '../api.ts'
import { RESPONSE_TIMEOUT } from '../calls/tunnels.ts'
import { type Deps, requireCredential } from '../deps.ts'
import { UsageError } from '../exit.ts'
import type { McpServer, McpTransport } from '../mcp/endpoint.ts'
import { parsePort, parseTimeout } from '../parse.ts'
import type { Display } from '../show/display.ts'
import { claimTunnel } from '../tunnel/claim.ts'
import { listensLocally } from '../tunnel/listens.ts'
import { runTunnel } from '../tunnel/run.ts'
import { stopSignal } from '../tunnel/stop-signal.ts'

interface Options {
  readonly subdomain?: string
  readonly name?: string
  readonly responseTimeout?: number
  readonly hostHeader?: string
  readonly mcp?: true
  readonly transport?: McpTransport
  readonly mcpPath?: string
}

/** `instatunnel PORT` */
export const tunnel = (deps: Deps): Command =>
  new Command('tunnel')
    .description('make a local port reachable under a public URL, for as long as the command runs')
    .argument('<port>', 'the local port, 1 to 65535', parsePort)
    .option('--subdomain <subdomain>', 'its name on the internet, which stays yours; made up where left out')
    .option('--name <name>', 'its name in lists')
    .option('--response-timeout <time>', RESPONSE_TIMEOUT, parseTimeout)
    .option(
      '--host-header <host>',
      'what the local server is told for a Host; "rewrite" for localhost',
      parseHost,
    )
    .option('--mcp', 'an MCP server listens on the port: show it to MCP clients')
    .addOption(
      new Option(
        '--transport <version>',
        'how MCP is spoken: v1, HTTP+SSE; v2, streamable HTTP (default)',
      ).choices(['v1', 'v2']),
    )
    .option('--mcp-path <path>', 'where MCP is spoken: /sse for v1, /mcp for v2 by default', parsePath)
    .addHelpText(
      'after',
      `
Examples:
  instatunnel 3000
  instatunnel 3000 --subdomain docs-demo
  instatunnel 8787 --mcp`,
    )
    .action(async (port: number, options: Options) => {
      if (!options.mcp && (options.transport ?? options.mcpPath) !== undefined)
        throw new UsageError('--transport and --mcp-path go with --mcp')
      await carry(deps, port, options)
    })

async function carry(deps: Deps, port: number, options: Options): Promise<void> {
  const { key } = await requireCredential(deps)
  const mcp = options.mcp ? await findMcpServer(port, options) : undefined
  const api = createApi({ url: deps.config.api, credential: key })
  const stop = stopSignal(deps.config)
  let display: Display | undefined
  try {
    const remarks: string[] = []
    const note = (line: string) => (display ? display.note(line) : remarks.push(line))
    if (!mcp) noteSilence(port, note)
    const { subdomain, name, responseTimeout } = options
    const claim = await claimTunnel(api, { port, subdomain, name, responseTimeout }, note)
    display = await openDisplay(deps)
    stop.signal.addEventListener('abort', display.stopping)
    if (mcp) display.mcp(await mcp.endpointAt(claim.tunnel.url))
    for (const remark of remarks.splice(0)) note(remark)
    await runTunnel({
      api,
      credential: key,
      claim,
      mode: mcp ? 'mcp' : '',
      port,
      host: hostOf(options, port),
      signal: stop.signal,
      display,
    })
  } finally {
    display?.close()
    stop.forget()
    api.close()
  }
}

/** MCP servers guard against DNS rebinding: they want to hear of localhost. */
const hostOf = ({ hostHeader, mcp }: Options, port: number): string | undefined =>
  hostHeader === 'rewrite' || (hostHeader === undefined && mcp) ? `localhost:${port}` : hostHeader

function noteSilence(port: number, note: (line: string) => void): void {
  listensLocally(port).then((listens) => {
    if (!listens) note(`Nothing listens on port ${port} yet: visitors are told so until something does`)
  })
}

async function findMcpServer(port: number, { transport = 'v2', mcpPath }: Options) {
  const { mcpEndpoint, MCP_PATHS } = await import('../mcp/endpoint.ts')
  const { probeMcpServer } = await import('../mcp/probe.ts')
  const path = mcpPath ?? MCP_PATHS[transport]
  const server: McpServer = await probeMcpServer({ port, transport, path })
  return { endpointAt: (site: string) => mcpEndpoint(server, { site, transport, path }) }
}

async function openDisplay({ output, streams }: Deps): Promise<Display> {
  if (output.json) return (await import('../show/json-lines.ts')).jsonLines(streams)
  if (streams.out.isTTY)
    return (await import('../show/screen.ts')).liveScreen(streams, { style: output.screenStyle })
  return (await import('../show/plain-lines.ts')).plainLines(streams, output)
}

function parseHost(text: string): string {
  if (!/^[\x21-\x7e]{1,255}$/.test(text)) throw new InvalidArgumentError('It must be a host, or "rewrite".')
  return text
}

function parsePath(text: string): string {
  if (!/^\/[\x21-\x7e]*$/.test(text)) throw new InvalidArgumentError('It must be a path, such as /mcp.')
  return text
}
