import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { END, FRAME, MAX_DATA_BYTES } from '@instatunnel/kit/frames'
import { type Accounts, accountsOf } from '@instatunnel/test/accounts'
import { within } from '@instatunnel/test/agent'
import { failures } from '@instatunnel/test/failures'
import { pour, stuck } from '@instatunnel/test/flow'
import { atOnce, type Load, underLoad } from '@instatunnel/test/load'
import { type Memory, watchMemory } from '@instatunnel/test/memory'
import { makeTunnel, type OpenTunnel, openTunnel, type Tunnel } from '@instatunnel/test/open-tunnel'
import { connectRaw, frame, type RawAgent } from '@instatunnel/test/raw-agent'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { type Told, told } from '@instatunnel/test/visitor'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'

/** Somebody with an account connects an agent of their own making: what it does harms nobody but their own visitors. */

const MIB = 1024 * 1024

let stack: TestStack
let accounts: Accounts
/** Somebody else's tunnel, visited all the time. */
let other: OpenTunnel
let load: Load<Told>
let relay: Memory
const connections = new Agent({ keepAlive: true })
/** The hostile one's. */
let tunnel: Tunnel
let agent: RawAgent
beforeAll(async () => {
  stack = await startTestStack()
  accounts = accountsOf(stack.call)
  other = await openTunnel(stack, accounts)
  tunnel = await makeTunnel(stack, accounts)
})
let generation = 0
beforeEach(async () => {
  agent = await connectRaw(stack, {
    tunnelId: tunnel.id,
    credential: tunnel.token,
    headers: { 'instatunnel-generation': `${++generation}` },
  })
  load = underLoad(2, () => other.visitor.get('/hello', { agent: connections }))
  await load.answered(20)
  relay = watchMemory(stack.service('relay').process().pid)
})
afterEach(async () => {
  agent.socket.destroy()
  await load.answered(20)
  const answers = await load.stop()
  expect(failures(answers)).toEqual([])
  for (const answer of answers) expect(answer).toMatchObject({ text: 'hello' })
  // What is held is some MiB; the rest is what V8 has not collected yet of what came and went.
  expect(relay.grown()).toBeLessThan(256 * MIB)
})
afterAll(async () => {
  connections.destroy()
  await other?.close()
  await tunnel?.close()
  await stack?.stop()
})

const isCutOff = () => within(agent.closed, () => 'it is connected still', 5000)
/** Says so much, as fast as it is taken, until it is cut off. */
async function say(times: number, piece: Buffer): Promise<void> {
  for (let said = 0; said < times && !agent.socket.destroyed; said++) {
    if (agent.socket.write(piece)) continue
    const drained = new Promise((resolve) => agent.socket.once('drain', resolve))
    await Promise.race([drained, agent.closed])
  }
}
const many = (count: number, piece: Buffer) => Buffer.concat(Array(count).fill(piece))

describe('is cut off, with', () => {
  it.each<[string, () => Buffer]>([
    ['garbage', () => Buffer.concat([Buffer.from([0x7f]), randomBytes(64 * 1024)])],
    ['zeroes', () => Buffer.alloc(64 * 1024)],
    ['HTTP', () => Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['a million streams of its own', () => many(1_000_000, frame(FRAME.open, 1, 'GET\n/'))],
    ['answers that nobody asked for', () => frame(FRAME.head | END, 77, '200\nOK')],
    ['a head without an end', () => frame(FRAME.head, 1, '', 16 * MIB - 1)],
    ['data without an end', () => frame(FRAME.data, 1, '', MAX_DATA_BYTES + 1)],
    ['a goaway without an end', () => frame(FRAME.goaway, 0, 'x'.repeat(257))],
    ['a window that is none', () => frame(FRAME.window, 1, 'abc')],
  ])('%s', async (_, bytes) => {
    agent.socket.write(bytes())
    await isCutOff()
  })

  it('data for which it has no credit', async () => {
    const asked = tunnel.visitor.ask('/').end()
    asked.on('error', () => {})
    asked.on('response', (answer) => answer.pause())
    const { stream } = await agent.opened()
    agent.socket.write(frame(FRAME.head, stream, '200\nOK'))
    const piece = frame(FRAME.data, stream, Buffer.alloc(MAX_DATA_BYTES))
    // Past what the machine's sockets take for the visitor, what is held would grow without an end.
    await say(2048, piece)
    await isCutOff()
    asked.destroy()
  })

  it.each<[string, Buffer]>([
    ['pings', frame(FRAME.ping, 0, Buffer.alloc(8))],
    ['answers to pings that nobody sent', frame(FRAME.ping | END, 0, Buffer.alloc(8))],
  ])('a million %s', async (_, piece) => {
    await say(100, many(10_000, piece))
    await isCutOff()
  })

  it('more credit than there is', async () => {
    const answer = tunnel.visitor.get('/')
    const { stream } = await agent.opened()
    agent.socket.write(many(10_000, frame(FRAME.window, stream, Buffer.from([0x7f, 0xff, 0xff, 0xff]))))
    await isCutOff()
    expect((await answer).status).toBe(502)
  })
})

describe('is borne with', () => {
  it('no credit ever: an upload stands still, and no more of it is held than a window', async () => {
    const uploads = await atOnce(16, async () => {
      const asked = tunnel.visitor.ask('/', { method: 'POST' })
      const sent = pour(asked, 2 ** 31)
      await agent.opened()
      return { asked, sent }
    })
    const all = {
      get bytes() {
        return uploads.reduce((sum, { sent }) => sum + sent.bytes, 0)
      },
    }
    await stuck(all)
    await load.answered(50)
    for (const { asked } of uploads) asked.destroy()
  })

  it('not reading: it is found out by its silence', { timeout: 30_000 }, async () => {
    agent.socket.pause()
    const uploads = await atOnce(4, async () => {
      const asked = tunnel.visitor.ask('/', { method: 'POST' })
      const answer = told(asked)
      return { asked, answer, sent: pour(asked, 2 ** 31) }
    })
    for (const { asked, answer } of uploads) {
      expect((await answer).status).toBe(502)
      asked.destroy()
    }
  })

  it('pings, without reading', async () => {
    agent.socket.pause()
    await say(50, many(2000, frame(FRAME.ping, 0, Buffer.alloc(8))))
    await load.answered(50)
  })

  it('not reading, while its visitors come and go', { timeout: 60_000 }, async () => {
    agent.socket.pause()
    const path = `/${'a'.repeat(30_000)}`
    const comeAndGo = async () => {
      while (!agent.socket.destroyed && !isOver) {
        const asked = tunnel.visitor.ask(path).end()
        const answer = once(asked, 'response').catch(() => {})
        await Promise.race([answer, delay(10)])
        asked.destroy()
      }
    }
    let isOver = false
    const visitors = atOnce(20, comeAndGo)
    await load.answered(100)
    isOver = true
    await visitors
  })

  it('what comes before an answer, without an end', async () => {
    const answer = tunnel.visitor.get('/')
    const { stream } = await agent.opened()
    const hints = many(1000, frame(FRAME.head, stream, `103\nEarly Hints\nx-a\n${'a'.repeat(1000)}`))
    await say(200, hints)
    expect((await answer).status).toBe(502)
  })

  it('as many agents as a tunnel may have, and not one more', async () => {
    const asked = { tunnelId: tunnel.id, credential: tunnel.token }
    const named = (index: number) => ({ 'instatunnel-agent': `agent-number-${1000 + index}` })
    const agents = await atOnce(31, (index) => connectRaw(stack, { ...asked, headers: named(index) }))
    await expect(connectRaw(stack, { ...asked, headers: named(31) })).rejects.toThrow(
      /not connected: 503 .*as many agents as it may have/,
    )
    for (const { socket } of agents) socket.destroy()
  })
})

describe('an answer that would reach into another visitor’s', () => {
  /** The frames that answer one request. */
  const answers: [string, (stream: number) => Buffer[]][] = [
    [
      'more than it announced',
      (stream) => [
        frame(FRAME.head, stream, '200\nOK\ncontent-length\n2'),
        frame(FRAME.data | END, stream, 'okHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'),
      ],
    ],
    [
      'less than it announced',
      (stream) => [
        frame(FRAME.head, stream, '200\nOK\ncontent-length\n200'),
        frame(FRAME.data | END, stream, 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'),
      ],
    ],
    [
      'two lengths',
      (stream) => [
        frame(FRAME.head, stream, '200\nOK\ncontent-length\n0\ncontent-length\n90'),
        frame(FRAME.data | END, stream, 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'),
      ],
    ],
    [
      'chunks of its own',
      (stream) => [
        frame(FRAME.head, stream, '200\nOK\ntransfer-encoding\nchunked\ncontent-length\n50'),
        frame(FRAME.data | END, stream, '0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'),
      ],
    ],
    [
      'a body where there is none',
      (stream) => [
        frame(FRAME.head, stream, '204\nNo Content'),
        frame(FRAME.data | END, stream, 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'),
      ],
    ],
    [
      'line breaks in a value',
      (stream) => [
        frame(
          FRAME.head | END,
          stream,
          '200\nOK\nx-a\n1\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil',
        ),
      ],
    ],
    [
      'line breaks in the reason',
      (stream) => [
        frame(FRAME.head | END, stream, '200\nOK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 evil\nx-a\n1'),
      ],
    ],
    [
      'line breaks in hints',
      (stream) => [
        frame(
          FRAME.head,
          stream,
          '103\nEarly\nlink\n<a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil',
        ),
        frame(FRAME.head | END, stream, '200\nOK\ncontent-length\n0'),
      ],
    ],
    [
      'line breaks in trailers',
      (stream) => [
        frame(FRAME.head, stream, '200\nOK'),
        frame(FRAME.data, stream, 'ok'),
        frame(FRAME.trailers | END, stream, 'x-a\n1\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'),
      ],
    ],
    [
      'a second answer',
      (stream) => [
        frame(FRAME.head, stream, '200\nOK\ncontent-length\n2'),
        frame(FRAME.data, stream, 'ok'),
        frame(FRAME.head | END, stream, '200\nOK\ncontent-length\n4'),
        frame(FRAME.data | END, stream, 'evil'),
      ],
    ],
    [
      'another protocol, unasked',
      (stream) => [
        frame(FRAME.head, stream, '101\nSwitching Protocols\nconnection\nupgrade\nupgrade\nwebsocket'),
        frame(FRAME.data, stream, 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'),
      ],
    ],
  ]

  it.each(answers)('with %s', async (_, answer) => {
    const methods = ['GET', 'HEAD', 'POST'] as const
    for (const method of methods) {
      // On connections that the gateway shares among all visitors.
      const asked = tunnel.visitor.get('/', { method, agent: connections }).catch((error) => error as Error)
      const opened = await Promise.race([agent.opened(), agent.closed.then(() => undefined)])
      if (opened) for (const bytes of answer(opened.stream)) agent.socket.write(bytes)
      const seen = await asked
      if (!(seen instanceof Error)) expect(seen.text).not.toContain('evil')
      const others = await atOnce(8, () => other.visitor.get('/hello', { agent: connections }))
      for (const { text } of others) expect(text).toBe('hello')
    }
  })
})
