import type { RunningProcess } from '@instatunnel/local/process'
import type { Account, Accounts } from './accounts.ts'
import { type ConnectedAs, startAgent, type TestAgent } from './agent.ts'
import { startCommand } from './command.ts'
import { type Site, startSite } from './site.ts'
import type { TestStack } from './stack.ts'
import { type Visitor, visitorAt } from './visitor.ts'

/** A tunnel with what belongs to it: whose it is, what lies behind it, who visits it. */
export interface Tunnel {
  readonly owner: Account
  readonly id: string
  readonly subdomain: string
  /** The tunnel's own token. */
  readonly token: string
  /** The local server. */
  readonly site: Site
  readonly visitor: Visitor
  /** An agent in this process, with the owner's session key and before `site` unless said otherwise. */
  connect(options?: Partial<ConnectedAs>): Promise<TestAgent>
  /** The command, as people run it; it may be killed, and its memory is its own. */
  command(): Promise<RunningProcess>
  /** Ends the agents, and the local server. */
  close(): Promise<void>
}

/** Makes a tunnel of a new account's, or of `owner`'s, with a local server that no agent stands before yet. */
export async function makeTunnel(
  stack: TestStack,
  accounts: Accounts,
  owner?: Account,
  fields: object = {},
): Promise<Tunnel> {
  const whose = owner ?? (await accounts.register())
  const { id, subdomain, token, url } = await accounts.tunnel(whose.token, fields)
  const site = await startSite()
  const ends: (() => Promise<unknown>)[] = []
  return {
    owner: whose,
    id,
    subdomain,
    token,
    site,
    visitor: visitorAt(stack, new URL(url).host),
    async connect(options = {}) {
      const usual = { tunnelId: id, port: site.port, credential: whose.apiKey }
      const agent = await startAgent(stack, { ...usual, ...options })
      ends.push(() => agent.leave())
      return agent
    },
    async command() {
      const running = await startCommand(stack, { subdomain, port: site.port, key: whose.apiKey })
      ends.push(() => running.stop())
      return running
    },
    async close() {
      await Promise.all(ends.map((end) => end()))
      await site.close()
    },
  }
}

/** A tunnel with an agent in this process. */
export interface OpenTunnel extends Tunnel {
  readonly agent: TestAgent
}

/** Makes a tunnel as makeTunnel() does, and connects it. */
export async function openTunnel(...made: Parameters<typeof makeTunnel>): Promise<OpenTunnel> {
  const tunnel = await makeTunnel(...made)
  return { ...tunnel, agent: await tunnel.connect() }
}
