import { describe, expect, it } from 'vitest'
import { anybody, nobody, occupy, openConnections } from '../test/agents.ts'
import { createClock } from '../test/clock.ts'
import { answerWith } from '../test/played-agent.ts'
import { drain } from './drain.ts'

/** A relay that drains, as the test says what is in flight. */
function open() {
  const clock = createClock()
  const { connections, connect } = openConnections(clock)
  const others = { streams: 0, visitors: 0, gateways: 0 }
  let looks = 0
  const begin = () => {
    let over = false
    const done = drain({
      connections,
      peers: others,
      visitors() {
        looks++
        return others.visitors
      },
      gateways: () => others.gateways,
      now: clock.now,
    }).then(() => {
      over = true
    })
    return { done, isOver: () => over }
  }
  /** Resolves once it has been looked so often again whether all is done. */
  const looked = (times: number) => {
    const until = looks + times
    return expect.poll(() => looks).toBeGreaterThanOrEqual(until)
  }
  return { clock, connections, connect, others, begin, looked }
}

describe('drain', () => {
  it('sends every agent to another relay, and is over when there is nothing to wait for', async () => {
    const { clock, connections, connect, begin } = open()
    const agents = [connect(), connect()]
    const { done } = begin()
    for (const agent of agents) expect(await agent.sentAway).toBe('draining')
    expect(connections.at('docs')).toEqual([])
    clock.pass(200)
    await done
    expect(connections.size).toBe(0)
  })

  it('waits for requests in flight, also those at peers, and for visitors who still read', async () => {
    const { clock, connect, others, begin, looked } = open()
    const agent = connect()
    const answered = Promise.withResolvers<string>()
    agent.connection.open(
      'GET\n/',
      true,
      { ...nobody, data: (chunk) => answered.resolve(String(chunk)) },
      anybody,
    )
    Object.assign(others, { streams: 1, visitors: 1 })
    const { done, isOver } = begin()
    expect(await agent.sentAway).toBe('draining')
    answerWith((await agent.next()).stream, 'to its end')
    expect(await answered.promise).toBe('to its end')
    clock.pass(29_000)
    await agent.ended
    await looked(2)
    expect(isOver()).toBe(false)
    others.streams = 0
    await looked(2)
    expect(isOver()).toBe(false)
    others.visitors = 0
    await done
  })

  it('goes on until each gateway has heard of it, or there is none', async () => {
    const { clock, others, begin, looked } = open()
    others.gateways = 2
    const first = begin()
    clock.pass(1499)
    await looked(2)
    expect(first.isOver()).toBe(false)
    clock.pass(1)
    await first.done

    const second = begin()
    await looked(2)
    expect(second.isOver()).toBe(false)
    others.gateways = 0
    await second.done
  })

  it('ends after 30 s with a request that does not, and cuts that off', async () => {
    const { clock, connections, connect, others, begin } = open()
    const agent = connect()
    const stuck = Promise.withResolvers<number>()
    agent.connection.open('GET\n/', true, { ...nobody, reset: stuck.resolve }, anybody)
    occupy(agent)
    others.visitors = 1
    const { done } = begin()
    clock.pass(29_999)
    expect(connections.size).toBe(1)
    clock.pass(1)
    await done
    await stuck.promise
    expect(connections.size).toBe(0)
  })
})
