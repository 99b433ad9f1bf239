import { Agent } from 'node:http'
import { accountsOf } from '@instatunnel/test/accounts'
import { failures } from '@instatunnel/test/failures'
import { atOnce, underLoad } from '@instatunnel/test/load'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import type { Arrival } from '@instatunnel/test/site'
import { type Site, startSite } from '@instatunnel/test/site'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

/** Many visitors at once, and several agents who share them. */

let stack: TestStack
let open: OpenTunnel
const sites: Site[] = []
beforeAll(async () => {
  // All come from one address, which gets a quarter.
  stack = await startTestStack({ env: { relay: { MAX_REQUESTS_PER_AGENT: '2000' } } })
  open = await openTunnel(stack, accountsOf(stack.call))
})
afterEach(async () => {
  for (const site of sites.splice(0)) await site.close()
})
afterAll(async () => {
  await open?.close()
  await stack?.stop()
})

describe('500 requests at once', () => {
  /** None is answered before all have arrived. */
  const together = async (ask: (index: number) => Promise<string>) => {
    const arrivals = atOnce(500, () => open.site.arrival('/together'))
    const answers = atOnce(500, ask)
    const answer = async ({ request, response }: Arrival) => response.end(await bodyOf(request))
    await Promise.all((await arrivals).map(answer))
    expect(await answers).toEqual(Array.from({ length: 500 }, (_, index) => `the ${index}th`))
  }
  const bodyOf = async (request: Arrival['request']) => (await request.setEncoding('utf8').toArray()).join('')

  it('on a connection each', () =>
    together(async (index) => {
      const answer = await open.visitor.get('/together', { method: 'POST', body: `the ${index}th` })
      return answer.text
    }))

  it('over HTTP/2, on five connections', async () => {
    const sessions = Array.from({ length: 5 }, () => open.visitor.http2())
    await together(async (index) => {
      const head = { ':authority': open.visitor.host, ':path': '/together', ':method': 'POST' }
      const stream = sessions[index % 5]?.request(head)
      return (await (stream?.end(`the ${index}th`).setEncoding('utf8').toArray() ?? [])).join('')
    })
    for (const session of sessions) session.close()
  })
})

describe('several agents on one tunnel', () => {
  const connections = new Agent({ keepAlive: true })
  afterAll(() => connections.destroy())

  /** Agents before local servers of their own, the first one away. */
  const agents = async (count: number) => {
    const own = await atOnce(count, () => startSite())
    sites.push(...own)
    const connected = await Promise.all(own.map(({ port }) => open.connect({ port })))
    return { own, connected }
  }
  // What may not be asked twice, so that nothing is made good by asking again.
  const post = () =>
    open.visitor.get('/both', { method: 'POST', body: 'x'.repeat(10_000), agent: connections })

  it('share its requests', async () => {
    const { own, connected } = await agents(3)
    const load = underLoad(24, post)
    await load.answered(600)
    const answers = await load.stop()
    expect(failures(answers)).toEqual([])
    // With the one that was there already there are four.
    for (const { requests } of own) expect(requests).toBeGreaterThan(answers.length / 8)
    await Promise.all(connected.map((agent) => agent.leave()))
  })

  it('come and go, and no visitor notices', async () => {
    const { own, connected } = await agents(1)
    const load = underLoad(16, post)
    await load.answered(100)
    for (let round = 0; round < 5; round++) {
      const [{ port }] = own as [Site]
      const next = await open.connect({ port })
      await load.answered(100)
      expect(await connected.shift()?.leave()).toEqual({ kind: 'stopped' })
      connected.push(next)
      await load.answered(100)
    }
    const answers = await load.stop()
    expect(failures(answers)).toEqual([])
    expect(answers.length).toBeGreaterThan(1000)
    await connected[0]?.leave()
  })

  it('one that leaves finishes what it has begun, and gets no more', async () => {
    const { own, connected } = await agents(1)
    const [site] = own as [Site]
    // Each of the two gets one of two requests.
    const begun = Promise.race([site.arrival('/long'), open.site.arrival('/long')])
    const answer = open.visitor.get('/long', { method: 'POST' })
    const { response, request } = await begun
    const leaving = request.socket.localPort === site.port ? connected[0] : open.agent
    response.write('half ')
    const left = leaving?.leave()
    const answers = await atOnce(20, () => open.visitor.get('/hello'))
    expect(failures(answers)).toEqual([])
    response.end('whole')
    expect((await answer).text).toBe('half whole')
    expect(await left).toEqual({ kind: 'stopped' })
  })
})
