import type { CreateTunnelResponse } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { Command } from 'commander'
import type { Json } from '../../calls/json.ts'
import { CREATED_SHAPE, RESPONSE_TIMEOUT } from '../../calls/tunnels.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { parsePort, parseTimeout } from '../../parse.ts'

interface Options {
  readonly subdomain?: string
  readonly name?: string
  readonly responseTimeout?: number
}

/** `instatunnel tunnels create` */
export const createTunnel = (deps: Deps): Command =>
  new Command('create')
    .description('make a tunnel, without carrying its traffic yet')
    .argument('<port>', 'the local port, 1 to 65535', parsePort)
    .option('--subdomain <subdomain>', 'its name on the internet; made up where left out')
    .option('--name <name>', 'its name in lists')
    .option('--response-timeout <time>', RESPONSE_TIMEOUT, parseTimeout)
    .addHelpText(
      'after',
      `
Example:
  instatunnel tunnels create 3000 --subdomain docs-demo --name "My docs"`,
    )
    .action(async (port: number, { subdomain, name, responseTimeout }: Options) => {
      const body = {
        name: name ?? subdomain ?? `Port ${port}`,
        subdomain,
        local_port: port,
        response_timeout: responseTimeout,
      }
      const api = await signedIn(deps)
      const answer: Json<CreateTunnelResponse> = await api.call('POST', '/v1/tunnels', {
        body,
        shape: CREATED_SHAPE,
      })
      const { tunnel } = answer
      deps.output.result(answer, [
        '✅ Tunnel created',
        `🌐 URL: ${tunnel.url}`,
        `🆔 ID: ${tunnel.id}`,
        `🔑 Token: ${tunnel.token}`,
      ])
    })
