import { readFileSync } from 'node:fs'
import { accountsOf } from '@instatunnel/test/accounts'
import { type Flow, type Intake, pour, stuck, take } from '@instatunnel/test/flow'
import { atOnce } from '@instatunnel/test/load'
import { type Memory, watchMemory } from '@instatunnel/test/memory'
import { makeTunnel, type Tunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { answered, told } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

/** Bodies of any size pass, and none of it stays: what the reader does not take, the sender does not send. */

const MIB = 1024 * 1024
const SIZE = 2048 * MIB
/**
 * A relay or an agent holds a window of 512 KiB of a stream in each direction and the frame that it is reading. What
 * else its process grows by is what V8 has not collected yet of the buffers that went through, whatever their number:
 * with nothing held back it would be as much as the sender is ahead of the reader, up to 2 GiB.
 */
const SLACK = 120 * MIB
/** What this machine's kernel may hold at both ends of four connections, and Envoy, at each, 1 MiB. */
const ON_THE_WAY = 4 * (largestBuffer('rmem') + largestBuffer('wmem') + MIB)

function largestBuffer(of: 'rmem' | 'wmem'): number {
  return Number(readFileSync(`/proc/sys/net/ipv4/tcp_${of}`, 'utf8').trim().split(/\s+/)[2])
}

let stack: TestStack
let tunnel: Tunnel
let relay: Memory
let agent: Memory
let agentPid: number
beforeAll(async () => {
  stack = await startTestStack()
  tunnel = await makeTunnel(stack, accountsOf(stack.call))
  agentPid = (await tunnel.command()).pid
  await told(tunnel.visitor.ask(`/bytes?size=${64 * MIB}`).end()) // what they take to begin with
})
beforeEach(() => {
  relay = watchMemory(stack.service('relay').process().pid)
  agent = watchMemory(agentPid)
})
afterAll(async () => {
  await tunnel?.close()
  await stack?.stop()
})

const expectLittleGrowth = () => {
  expect(relay.grown()).toBeLessThan(SLACK)
  expect(agent.grown()).toBeLessThan(SLACK)
}

/** Reads some, stops until nobody sends any more, and so twice again; then the rest. */
async function readSlowly(taken: Intake, sent: Flow): Promise<void> {
  for (const further of [4 * MIB, SIZE / 4, SIZE / 4]) {
    await taken.read(further)
    await stuck(sent)
    expect(sent.bytes - taken.bytes).toBeLessThan(ON_THE_WAY)
    expectLittleGrowth()
  }
  expect(await taken.rest()).toEqual(await sent.whole)
  expect(taken.bytes).toBe(SIZE)
  expectLittleGrowth()
}

describe('2 GiB', { timeout: 300_000 }, () => {
  it('arrive as they were sent, to a visitor who stops in between', async () => {
    const arrival = tunnel.site.arrival('/down')
    const asked = tunnel.visitor.ask('/down').end()
    const { response } = await arrival
    response.setHeader('content-length', SIZE)
    const sent = pour(response, SIZE)
    await readSlowly(take(await answered(asked)), sent)
  })

  it('arrive as they were sent, at a local server that stops in between', async () => {
    const arrival = tunnel.site.arrival('/up')
    const asked = tunnel.visitor.ask('/up', { method: 'PUT', headers: { 'content-length': `${SIZE}` } })
    const answer = told(asked)
    const sent = pour(asked, SIZE)
    const { request, response } = await arrival
    await readSlowly(take(request), sent)
    response.end('thanks')
    expect((await answer).text).toBe('thanks')
  })
})

it('64 visitors who stop hold a window each, and nobody else up', { timeout: 60_000 }, async () => {
  const visitors = 64
  const bodies = await atOnce(visitors, async () => {
    const arrival = tunnel.site.arrival('/many')
    const asked = tunnel.visitor.ask('/many').end()
    const answer = answered(asked)
    const { response } = await arrival // one of the 64, whosever it is
    const sent = pour(response, SIZE)
    take((await answer).on('error', () => {}))
    return { asked, sent }
  })
  const all = {
    get bytes() {
      return bodies.reduce((sum, { sent }) => sum + sent.bytes, 0)
    },
  }
  await stuck(all)
  expect(relay.grown()).toBeLessThan(visitors * MIB + SLACK)
  expect(agent.grown()).toBeLessThan(visitors * MIB + SLACK)
  expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
  for (const { asked } of bodies) asked.destroy()
})
