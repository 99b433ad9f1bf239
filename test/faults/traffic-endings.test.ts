import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalServer } from '../../cli/src/agent/local-server.ts'
import type { Session } from '../../cli/src/agent/session.ts'
import { type EndingServer, startEndingServer } from './endings/local-server.ts'
import { createRandom } from './endings/random.ts'
import { connectSession, type EndingRelay, openEndingRelay, routeTo } from './endings/relay.ts'
import { visitAtRandom } from './endings/visitors.ts'

/**
 * Visitors, a relay, its peer, agents and a local server, each of which ends what is under way in every way there is, at
 * random: afterwards nothing of it may be open anywhere. SEED=… runs a failed run again.
 */

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const VISITS = 1500
const AT_ONCE = 150
const RESPONSE_TIMEOUT_MS = 300

const faults: unknown[] = []
const onFault = (fault: unknown) => void faults.push(fault)

let server: EndingServer
let local: LocalServer
let here: EndingRelay
let there: EndingRelay
/** Agents: one of docs at the visitors' relay, two of shop at its peer. */
const sessions = new Map<string, Session>()
/** All that there have been. */
const all = new Set<Session>()

const openRelay = () =>
  openEndingRelay({
    routes: () => (there ? [routeTo(there, 'shop')] : []),
    responseTimeoutMs: RESPONSE_TIMEOUT_MS,
    onFault,
  })
const agents = { 'docs-1': () => here, 'shop-1': () => there, 'shop-2': () => there }
async function connectAgent(name: keyof typeof agents): Promise<void> {
  const subdomain = name.slice(0, 4)
  const session = await connectSession(agents[name](), { subdomain, local, onFault })
  sessions.set(name, session)
  all.add(session)
}

beforeAll(async () => {
  server = await startEndingServer()
  local = new LocalServer(server.port)
  here = await openRelay()
  there = await openRelay()
  for (const name of Object.keys(agents)) await connectAgent(name as keyof typeof agents)
})
afterAll(async () => {
  for (const session of all) session.destroy()
  await Promise.all([here?.close(), there?.close()])
  local?.close()
  server?.close()
})

/** What happens to agents and relays meanwhile. */
const events: Readonly<Record<string, () => Promise<void>>> = {
  'an agent is cut off': async () => {
    sessions.get('docs-1')?.destroy()
    await connectAgent('docs-1')
  },
  "an agent of the peer's is cut off": async () => {
    sessions.get('shop-1')?.destroy()
    await connectAgent('shop-1')
  },
  'an agent leaves': async () => {
    const leaving = sessions.get('shop-2')
    leaving?.leave()
    await connectAgent('shop-2')
    leaving?.finish(1000)
  },
  'a relay sends its agents elsewhere': async () => {
    const leaving = sessions.get('docs-1')
    here.connections.retire(() => true, 'draining')
    await connectAgent('docs-1')
    leaving?.finish(1000)
  },
  'the peer dies': async () => {
    await there.close()
    there = await openRelay()
    await Promise.all([connectAgent('shop-1'), connectAgent('shop-2')])
  },
}

/** Visits at random, many at once; `happening` goes on meanwhile, and is told how many have begun. */
async function visitAll(first: number, happening?: (begun: () => number) => Promise<void>): Promise<void> {
  let begun = 0
  const visitor = async () => {
    while (begun < VISITS) {
      const own = createRandom(SEED + first + ++begun)
      await visitAtRandom(here.port, own.oneOf(['docs', 'shop']), own)
    }
  }
  await Promise.all([happening?.(() => begun), ...Array.from({ length: AT_ONCE }, visitor)])
}

/** Streams, visitors and connections, which all come to an end; the agents' own connections are all that is left. */
async function expectNothingOpen(): Promise<void> {
  const open = () => ({
    here: here.open(),
    there: there.open(),
    agents: [...all].reduce((sum, session) => sum + session.streams, 0),
    sockets: here.sockets() + there.sockets(),
  })
  const nothing = { streams: 0, slots: 0, peerStreams: 0, visitors: 0 }
  const message = `SEED=${SEED}`
  await expect
    .poll(open, { timeout: 10_000, message })
    .toEqual({ here: nothing, there: nothing, agents: 0, sockets: 3 })
  expect(faults, message).toEqual([])
}

describe(`after ${VISITS} random endings (SEED=${SEED})`, { timeout: 60_000 }, () => {
  it('nothing is open at agents, relay and peer', async () => {
    await visitAll(0)
    await expectNothingOpen()
  })

  it('nothing is open where agents and relays came and went meanwhile', async () => {
    const random = createRandom(SEED)
    await visitAll(VISITS, async (begun) => {
      for (let at = 100; at < VISITS; at += 100) {
        await expect.poll(begun, { interval: 5, timeout: 30_000 }).toBeGreaterThanOrEqual(at)
        await events[random.oneOf(Object.keys(events))]?.()
      }
    })
    await expectNothingOpen()
    local.close()
    await expect.poll(() => local.size, { timeout: 10_000, message: `SEED=${SEED}` }).toBe(0)
  })
})
