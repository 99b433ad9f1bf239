import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { accountsOf } from '@instatunnel/test/accounts'
import { pour, stuck, take } from '@instatunnel/test/flow'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { answered } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** What is written arrives when it is written, whatever it is called; and whoever goes away is known to have gone. */

let stack: TestStack
let open: OpenTunnel
beforeAll(async () => {
  stack = await startTestStack()
  open = await openTunnel(stack, accountsOf(stack.call))
})
afterAll(async () => {
  await open?.close()
  await stack?.stop()
})

const now = () => performance.timeOrigin + performance.now()

/** How long each event of /events was on its way, in ms. */
async function delaysOf(events: Readable): Promise<number[]> {
  const delays: number[] = []
  for await (const chunk of events.setEncoding('utf8')) {
    const seen = now()
    for (const [, written] of chunk.matchAll(/data: ([\d.]+)\n\n/g)) delays.push(seen - Number(written))
  }
  return delays
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

describe('server-sent events', () => {
  const every = 200
  const count = 15
  const path = `/events?count=${count}&every=${every}`

  // A machine that does much else may hold one up; it never waits for the next.
  const expectAtOnce = (delays: readonly number[]) => {
    expect(delays).toHaveLength(count)
    expect(median(delays)).toBeLessThan(50)
    expect(Math.max(...delays)).toBeLessThan(every)
  }

  it('arrive each within 50 ms of being written', async () => {
    const answer = await answered(open.visitor.ask(path).end())
    expect(answer.headers['content-type']).toBe('text/event-stream')
    expectAtOnce(await delaysOf(answer))
  })

  it('over HTTP/2 too', async () => {
    const session = open.visitor.http2()
    const stream = session.request({ ':authority': open.visitor.host, ':path': path })
    expectAtOnce(await delaysOf(stream))
    session.close()
  })
})

it('the head of an answer does not wait for its body, nor any piece for the next', async () => {
  const arrival = open.site.arrival('/pieces')
  const asked = open.visitor.ask('/pieces').end()
  const { response } = await arrival
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': '6' })
  response.flushHeaders()
  const answer = await answered(asked)
  const pieces = answer.setEncoding('utf8')[Symbol.asyncIterator]()
  for (const piece of ['a', 'bc', 'def']) {
    response.write(piece)
    expect((await pieces.next()).value).toBe(piece)
  }
  response.end()
  expect((await pieces.next()).done).toBe(true)
})

it('a body goes both ways at once', async () => {
  const asked = open.visitor.ask('/both', { method: 'POST' })
  asked.write('one')
  const answer = await answered(asked)
  const pieces = answer.setEncoding('utf8')[Symbol.asyncIterator]()
  expect((await pieces.next()).value).toBe('one')
  asked.write('two')
  expect((await pieces.next()).value).toBe('two')
  asked.end()
  expect((await pieces.next()).done).toBe(true)
})

describe('a visitor that goes away', () => {
  /** How long until the local server knew of it, in ms. */
  const noticedAfter = async (leave: () => void, closed: Promise<unknown>): Promise<number> => {
    const since = now()
    leave()
    await closed
    return now() - since
  }

  it('before it was answered', async () => {
    const arrival = open.site.arrival('/waiting')
    const asked = open.visitor.ask('/waiting')
    asked.on('error', () => {}).end()
    const { response } = await arrival
    expect(await noticedAfter(() => asked.destroy(), once(response, 'close'))).toBeLessThan(1000)
  })

  it('in the middle of an answer that is held back', async () => {
    const arrival = open.site.arrival('/download')
    const asked = open.visitor.ask('/download').end()
    const { response } = await arrival
    const sent = pour(response, 2 ** 31)
    const answer = await answered(asked)
    await take(answer.on('error', () => {})).read(1024 * 1024)
    await stuck(sent)
    expect(await noticedAfter(() => asked.destroy(), once(response, 'close'))).toBeLessThan(1000)
    await expect(sent.whole).rejects.toThrow('broken off')
  })

  it('in the middle of an answer that says nothing', async () => {
    const arrival = open.site.arrival('/silent')
    const asked = open.visitor.ask('/silent').end()
    const { response } = await arrival
    response.flushHeaders()
    const answer = await answered(asked)
    answer.on('error', () => {})
    expect(await noticedAfter(() => asked.destroy(), once(response, 'close'))).toBeLessThan(1000)
  })

  it('in the middle of its upload, which is not taken for whole', async () => {
    const arrival = open.site.arrival('/upload')
    const headers = { 'content-length': '2000000' }
    const asked = open.visitor.ask('/upload', { method: 'PUT', headers })
    asked.on('error', () => {}).write(Buffer.alloc(1_000_000))
    const { request } = await arrival
    const taken = take(request)
    await taken.read(1_000_000)
    const whole = taken.rest()
    expect(await noticedAfter(() => asked.destroy(), once(request, 'aborted'))).toBeLessThan(1000)
    await expect(whole).rejects.toThrow()
    expect(taken.bytes).toBe(1_000_000)
  })

  it('in the middle of its upload, which the local server did not read meanwhile', async () => {
    const arrival = open.site.arrival('/unread')
    const asked = open.visitor.ask('/unread', { method: 'PUT' })
    const sent = pour(asked, 2 ** 31)
    const taken = take((await arrival).request)
    await stuck(sent)
    asked.destroy()
    await expect(taken.rest()).rejects.toThrow()
    expect(taken.bytes).toBeLessThanOrEqual(sent.bytes)
  })
})
