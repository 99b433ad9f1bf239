import { Agent } from 'node:http'
import { accountsOf } from '@instatunnel/test/accounts'
import { failures } from '@instatunnel/test/failures'
import { pour, take } from '@instatunnel/test/flow'
import { underLoad } from '@instatunnel/test/load'
import { makeTunnel, type Tunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { answered } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

/** Agents that are killed, freeze, or lose the way: what visitors see of it. */

let stack: TestStack
let tunnel: Tunnel
beforeAll(async () => {
  stack = await startTestStack()
})
beforeEach(async () => {
  tunnel = await makeTunnel(stack, accountsOf(stack.call))
  return () => tunnel.close()
})
afterAll(() => stack?.stop())

const MIB = 1024 * 1024

describe('an agent that is killed', () => {
  it.each([
    ['of announced length', { 'content-length': String(2048 * MIB) }],
    ['in chunks', {}],
  ])('in the middle of an answer %s leaves none that looks whole', async (_, headers) => {
    const command = await tunnel.command()
    const arrival = tunnel.site.arrival('/down')
    const asked = tunnel.visitor.ask('/down').end()
    const { response } = await arrival
    response.writeHead(200, headers)
    pour(response, 2048 * MIB)
    const taken = take(await answered(asked))
    await taken.read(MIB)
    const whole = expect(taken.rest()).rejects.toThrow('aborted')
    await command.kill()
    await whole
  })

  it('in the middle of an answer over HTTP/2 leaves none that looks whole', async () => {
    const command = await tunnel.command()
    const arrival = tunnel.site.arrival('/down')
    const session = tunnel.visitor.http2()
    const stream = session.request({ ':authority': tunnel.visitor.host, ':path': '/down' })
    const { response } = await arrival
    pour(response, 2048 * MIB)
    const taken = take(stream)
    await taken.read(MIB)
    const whole = expect(taken.rest()).rejects.toThrow(/Stream closed with error code|broken off/)
    await command.kill()
    await whole
    session.close()
  })

  it('in the middle of an upload leaves none that looks whole to the local server', async () => {
    const command = await tunnel.command()
    const arrival = tunnel.site.arrival('/up')
    const asked = tunnel.visitor.ask('/up', { method: 'PUT' })
    const answer = answered(asked)
    pour(asked, 2048 * MIB)
    const taken = take((await arrival).request)
    await taken.read(MIB)
    const whole = expect(taken.rest()).rejects.toThrow()
    await command.kill()
    await whole
    expect((await answer).statusCode).toBe(502) // nothing of an answer had come
    asked.destroy()
  })

  it('is not noticed by visitors who were not answered yet, where another agent is there', async () => {
    const command = await tunnel.command()
    const arrival = tunnel.site.arrival('/asked')
    const answer = tunnel.visitor.get('/asked')
    await arrival // by the one that is killed, which alone was there
    await tunnel.connect()
    const again = tunnel.site.arrival('/asked')
    await command.kill()
    ;(await again).response.end('answered')
    expect((await answer).text).toBe('answered')
  })

  it('is not noticed under load either: every GET is answered', async () => {
    const [killed] = [await tunnel.command(), await tunnel.command()]
    const agent = new Agent({ keepAlive: true })
    const load = underLoad(16, () => tunnel.visitor.get('/bytes?size=1000', { agent }))
    await load.answered(200)
    await killed.kill()
    await load.answered(200)
    expect(failures(await load.stop())).toEqual([])
    agent.destroy()
  })

  it('is not noticed where the same one is back soon', async () => {
    const first = await tunnel.command()
    expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
    await first.kill()
    const answer = tunnel.visitor.get('/hello')
    await tunnel.command()
    expect((await answer).text).toBe('hello')
  })
})

describe('an agent that freezes', () => {
  it('is found out by its silence, and its visitors go to another', { timeout: 30_000 }, async () => {
    const frozen = await tunnel.command()
    process.kill(frozen.pid, 'SIGSTOP')
    const answer = tunnel.visitor.get('/hello')
    await tunnel.connect() // nothing is in its way, from the first moment on
    const since = performance.now()
    expect((await answer).text).toBe('hello')
    expect(performance.now() - since).toBeLessThan(10_000)
    await frozen.kill()
  })

  it('and thaws is told, and is back', { timeout: 30_000 }, async () => {
    const frozen = await tunnel.command()
    process.kill(frozen.pid, 'SIGSTOP')
    await expect.poll(async () => (await tunnel.visitor.get('/hello')).status, { timeout: 15_000 }).toBe(502)
    process.kill(frozen.pid, 'SIGCONT')
    await expect.poll(async () => (await tunnel.visitor.get('/hello')).status, { timeout: 10_000 }).toBe(200)
  })
})

it('agents are back by themselves after the gateway was away', { timeout: 60_000 }, async () => {
  const agent = await tunnel.connect()
  const before = agent.events.length
  await stack.gateway.kill()
  await agent.event('retrying', before)
  await stack.gateway.start()
  await agent.event('connected', before)
  expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
})
