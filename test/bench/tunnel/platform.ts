import { Client, credentials } from '@grpc/grpc-js'
import { connectPath } from '@instatunnel/kit/connect-request'
import { AuthorizationService, CheckRequest } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { accountsOf } from '@instatunnel/test/accounts'
import { rpcsOf } from '@instatunnel/test/rpcs'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { moveToMeasured } from '../cores.ts'

/** The whole platform, with one account, its relay and its gateway on the core of what is measured. */
export interface Platform {
  readonly stack: TestStack
  readonly relay: { readonly pid: number; readonly port: number }
  readonly gateway: { readonly pid: number; readonly port: number; readonly url: string }
  readonly apiKey: string
  /** Makes a tunnel to a local port. */
  tunnel(port: number): Promise<{ id: string; subdomain: string }>
  /** What auth has the gateway tell the relay when the account's agent asks to connect a tunnel. */
  connectHeaders(tunnelId: string): Promise<Record<string, string>>
  stop(): Promise<void>
}

/** More tunnels than any plan allows, and no limit that a bench could meet. */
const settings = {
  PLANS: JSON.stringify({ free: { tunnels: 2000 } }),
  LIMIT_CONNECT_PER_MINUTE: '100000',
  CONNECTIONS_PER_ADDRESS: '0',
}

/** Starts it on free ports. */
export async function startPlatform(): Promise<Platform> {
  const stack = await startTestStack({ settings })
  const relay = stack.service('relay')
  const accounts = accountsOf(stack.call)
  const { apiKey } = await accounts.register()
  const channel = new Client(stack.checkAddresses[0] as string, credentials.createInsecure())
  const { check } = rpcsOf(channel, { check: AuthorizationService.check })
  const relayPid = relay.process().pid
  const gatewayPid = stack.gateway.process().pid
  for (const pid of [relayPid, gatewayPid]) await moveToMeasured(pid)
  return {
    stack,
    apiKey,
    relay: { pid: relayPid, port: relay.port },
    gateway: { pid: gatewayPid, port: stack.gateway.port, url: stack.gateway.url },
    tunnel: (port) => accounts.tunnel(apiKey, { local_port: port }),
    async connectHeaders(tunnelId) {
      const headers = { authorization: `Bearer ${apiKey}` }
      const http = { method: 'GET', path: connectPath(tunnelId), headers }
      const contextExtensions = { access: 'connect' }
      const { httpResponse } = await check(
        CheckRequest.fromPartial({ attributes: { request: { http }, contextExtensions } }),
      )
      if (httpResponse?.$case !== 'okResponse') throw new Error(`auth refuses to connect ${tunnelId}`)
      return Object.fromEntries(
        httpResponse.value.headers.map(({ header }) => [header?.key ?? '', header?.value ?? '']),
      )
    },
    async stop() {
      channel.close()
      await stack.stop()
    },
  }
}
