import { setTimeout as delay } from 'node:timers/promises'
import type { RunningProcess } from '@instatunnel/local/process'
import { residentKib } from '../memory.ts'
import { ask } from './check.ts'
import { startAgents } from './command.ts'
import { behindEnvoy } from './contenders/instatunnel.ts'
import { connectAndAsk } from './first-answer.ts'
import type { Platform } from './platform.ts'
import { asked, type Target } from './target.ts'

/** What the first tunnels bring about happens once; those after them are what counts. */
const FIRST = 100
const TUNNELS = 1000
/** A few heartbeats; and what connecting has left behind is collected. */
const SETTLE_MS = 15_000
const CONNECT_MS = 120_000

/** KiB of resident memory for each of a thousand idle tunnels. */
export interface IdleMemory {
  readonly tunnels: number
  readonly relay: number
  readonly envoy: number
  /** In a process with all the agents: what an agent takes beside its Node. */
  readonly agent: number
  /** The whole process of one command: mostly Node. */
  readonly command: number
}

/** Connects a thousand tunnels through the gateway and sees by how much the processes grow. */
export async function measureIdle(platform: Platform, target: Target): Promise<IdleMemory> {
  const { relay, gateway } = platform
  await using running = new AsyncDisposableStack()
  const connect = async (count: number): Promise<number> => {
    const { agents, last } = await connectMany(platform, target, count)
    running.defer(async () => void (await agents.stop()))
    await delay(SETTLE_MS)
    const taken = residentKib(agents.pid)
    await ask({ port: gateway.port, host: `${last}.localhost` }, asked.small.path)
    return taken
  }
  const { agent } = await connectAndAsk(await behindEnvoy(platform).start(target))
  running.defer(async () => void (await agent.stop()))
  const few = await connect(FIRST)
  const before = { relay: residentKib(relay.pid), envoy: residentKib(gateway.pid) }
  const many = await connect(TUNNELS)
  return {
    tunnels: TUNNELS,
    relay: (residentKib(relay.pid) - before.relay) / TUNNELS,
    envoy: (residentKib(gateway.pid) - before.envoy) / TUNNELS,
    agent: (many - few) / (TUNNELS - FIRST),
    command: residentKib(agent.pids.agent ?? Number.NaN),
  }
}

/** So many new tunnels, with their agents in one process; resolves once all are connected. */
async function connectMany(
  platform: Platform,
  { port }: Target,
  count: number,
): Promise<{ agents: RunningProcess; last: string }> {
  const tunnels: { id: string; subdomain: string }[] = []
  while (tunnels.length < count) tunnels.push(await platform.tunnel(port))
  const agents = await startAgents(platform, { port, tunnelIds: tunnels.map(({ id }) => id) })
  const connected = Promise.withResolvers<void>()
  const failed = (why: string) => connected.reject(new Error(`${why}:\n${agents.lines().join('\n')}`))
  const timer = setTimeout(failed, CONNECT_MS, `${count} agents did not connect in time`)
  agents.onLine((line) => line === 'connected' && connected.resolve())
  void agents.exited.then(() => failed('agents ended'))
  await connected.promise.finally(() => clearTimeout(timer))
  return { agents, last: tunnels.at(-1)?.subdomain ?? '' }
}
