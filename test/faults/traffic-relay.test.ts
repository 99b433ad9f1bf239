import { Agent } from 'node:http'
import { type Accounts, accountsOf } from '@instatunnel/test/accounts'
import { pour, take } from '@instatunnel/test/flow'
import { underLoad } from '@instatunnel/test/load'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { answered, type Told } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

/** The only relay goes: visitors are told so while it is away, and all is as before once it is back. */

let stack: TestStack
let accounts: Accounts
let open: OpenTunnel
beforeAll(async () => {
  stack = await startTestStack()
  accounts = accountsOf(stack.call)
})
beforeEach(async () => {
  open = await openTunnel(stack, accounts)
  return () => open.close()
})
afterAll(() => stack?.stop())

const relay = () => stack.service('relay')
const MIB = 1024 * 1024

/** What visitors are told while there is no relay, or no agent at it yet. */
const expectAway = ({ status, text }: Told) =>
  expect([
    [502, 5002],
    [503, 5003],
  ]).toContainEqual([status, JSON.parse(text).code])

/** A download that is under way. */
async function download() {
  const arrival = open.site.arrival('/down')
  const asked = open.visitor.ask('/down').end()
  const { response } = await arrival
  const sent = pour(response, 256 * MIB)
  const taken = take(await answered(asked))
  await taken.read(MIB)
  return { sent, taken }
}

describe('a relay that is killed', { timeout: 60_000 }, () => {
  it('in the middle of answers leaves none that looks whole', async () => {
    const { taken } = await download()
    const brokenOff = expect(taken.rest()).rejects.toThrow('aborted')
    const asked = open.visitor.ask('/up', { method: 'PUT' })
    const answer = answered(asked)
    const arrival = open.site.arrival('/up')
    pour(asked, 256 * MIB)
    const upload = take((await arrival).request)
    await upload.read(MIB)
    const halfTaken = expect(upload.rest()).rejects.toThrow()
    await relay().kill()
    await Promise.all([brokenOff, halfTaken])
    expect((await answer).statusCode).toBe(503)
    asked.destroy()
    await relay().start()
  })

  it('costs running agents a reconnect, and visitors the time that it is away', async () => {
    const agent = new Agent({ keepAlive: true })
    const before = open.agent.events.length
    const load = underLoad(8, () => open.visitor.get('/bytes?size=1000', { agent }))
    await load.answered(100)
    await relay().kill()
    await load.answered(20)
    await relay().start()
    await open.agent.event('connected', before)
    await load.answered(100)
    const answers = await load.stop()
    agent.destroy()
    for (const answer of answers) {
      // What it was answering broke off; whoever came while it was away was told to come again.
      if (answer instanceof Error) expect(String(answer)).toMatch(/aborted|hang up/)
      else if (answer.status !== 200) expectAway(answer)
    }
    expect(answers.filter((answer) => answer instanceof Error).length).toBeLessThanOrEqual(8)
    for (const answer of answers.slice(-50)) expect(answer).toMatchObject({ status: 200 })
    await expect.poll(async () => (await open.visitor.get('/hello')).status).toBe(200)
  })
})

describe('a relay that is asked to stop', { timeout: 60_000 }, () => {
  it('finishes what is in flight, both ways', async () => {
    const { sent, taken } = await download()
    const arrival = open.site.arrival('/up')
    const asked = open.visitor.ask('/up', { method: 'PUT' })
    const answer = answered(asked)
    asked.write('first')
    const { request, response } = await arrival
    const stopped = relay().stop()
    asked.end('last')
    const body = await request.setEncoding('utf8').toArray()
    expect(body.join('')).toBe('firstlast')
    response.end('thanks')
    expect((await answer).statusCode).toBe(200)
    expect(await taken.rest()).toEqual(await sent.whole)
    expect(await stopped).toMatchObject({ code: 0 })
    await relay().start()
  })

  it('and started again under load costs agents a reconnect, and nobody an answer that has begun', async () => {
    const agent = new Agent({ keepAlive: true })
    const before = open.agent.events.length
    const load = underLoad(8, () => open.visitor.get('/bytes?size=100000', { agent }))
    await load.answered(100)
    await relay().restart()
    await open.agent.event('connected', before)
    await load.answered(100)
    const answers = await load.stop()
    agent.destroy()
    for (const answer of answers) {
      expect(answer).not.toBeInstanceOf(Error)
      if (!(answer instanceof Error) && answer.status !== 200) expectAway(answer)
    }
    for (const answer of answers.slice(-50)) expect(answer).toMatchObject({ status: 200 })
  })

  it('sends its agents away so that they come again, under the same names', async () => {
    const others = [await openTunnel(stack, accounts), await openTunnel(stack, accounts)]
    const all = [open, ...others]
    await relay().restart()
    for (const { visitor } of all)
      await expect.poll(async () => (await visitor.get('/hello')).text, { timeout: 10_000 }).toBe('hello')
    for (const { agent, subdomain } of all)
      expect(agent.events.filter(({ kind }) => kind === 'connected').at(-1)).toMatchObject({
        url: `http://${subdomain}.localhost:${stack.gateway.port}`,
      })
    await Promise.all(others.map((other) => other.close()))
  })
})
