import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { accountsOf } from '@instatunnel/test/accounts'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WebSocket } from 'ws'

/** WebSockets between a visitor and a local server who know nothing of what is between them. */

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

/** Both ends of a new one. */
async function opened(path = '/ws', protocols?: string[]): Promise<{ theirs: WebSocket; ours: WebSocket }> {
  const theirs = open.site.socket()
  const ours = open.visitor.webSocket(path, protocols)
  await once(ours, 'open')
  return { ours, theirs: await theirs }
}
const closeOf = async (socket: WebSocket) => {
  const [code, reason] = await once(socket, 'close')
  return [code, reason.toString()]
}

it('text and bytes come back as they were said', async () => {
  const { ours } = await opened()
  const said = ['hello', 'h\u00e9llo \u{1f600}', '', randomBytes(70_000), Buffer.alloc(0)]
  for (const each of said) {
    const echo = once(ours, 'message')
    ours.send(each)
    const [data, isBinary] = await echo
    expect(isBinary).toBe(typeof each !== 'string')
    expect(Buffer.compare(data, Buffer.from(each))).toBe(0)
  }
  ours.close()
})

it('a thousand messages come in order, and one of 8 MiB whole', async () => {
  const { ours } = await opened()
  const heard: string[] = []
  const all = new Promise<void>((resolve) => {
    ours.on('message', (data, isBinary) => {
      if (!isBinary) heard.push(String(data))
      if (heard.length === 1000) resolve()
    })
  })
  const numbers = Array.from({ length: 1000 }, (_, n) => `${n}`)
  for (const number of numbers) ours.send(number)
  await all
  expect(heard).toEqual(numbers)
  const large = randomBytes(8 * 1024 * 1024)
  const echo = once(ours, 'message')
  ours.send(large)
  expect(Buffer.compare((await echo)[0], large)).toBe(0)
  ours.close()
})

it('pings are answered by the other end, both ways', async () => {
  const { ours, theirs } = await opened()
  for (const [from, to] of [
    [ours, theirs],
    [theirs, ours],
  ] as const) {
    const [ping, pong] = [once(to, 'ping'), once(from, 'pong')]
    from.ping('are you there?')
    expect(String((await ping)[0])).toBe('are you there?')
    expect(String((await pong)[0])).toBe('are you there?')
  }
  ours.close()
})

it('the path, the query, headers and the protocol are agreed upon by both ends', async () => {
  const { ours } = await opened('/ws/room?a|b=%2f', ['chat.v2', 'chat.v1'])
  expect(ours.protocol).toBe('chat.v2')
  ours.close()
})

describe('it ends', () => {
  it.each([
    [1000, 'done'],
    [1001, ''],
    [4001, 'no such room'],
  ])('with the code that either end says: %i', async (code, reason) => {
    const first = await opened()
    const [heard, own] = [closeOf(first.theirs), closeOf(first.ours)]
    first.ours.close(code, reason)
    expect(await heard).toEqual([code, reason])
    expect(await own).toEqual([code, reason])

    const second = await opened()
    const [seen, confirmed] = [closeOf(second.ours), closeOf(second.theirs)]
    second.theirs.close(code, reason)
    expect(await seen).toEqual([code, reason])
    expect(await confirmed).toEqual([code, reason])
  })

  it('without a word where either end breaks off', async () => {
    const first = await opened()
    const seen = closeOf(first.ours)
    first.theirs.terminate()
    expect(await seen).toEqual([1006, ''])

    const second = await opened()
    const heard = closeOf(second.theirs)
    second.ours.terminate()
    expect(await heard).toEqual([1006, ''])
  })

  it('where its agent goes', async () => {
    const other = await openTunnel(stack, accountsOf(stack.call))
    const socket = other.visitor.webSocket('/ws')
    await once(socket, 'open')
    const seen = closeOf(socket)
    await stack.call('DELETE', `/v1/tunnels/${other.id}`, { token: other.owner.token })
    expect(await seen).toEqual([1006, ''])
    await other.close()
  })
})

it('where the local server wants none, its answer arrives', async () => {
  const socket = open.visitor.webSocket('/no-socket')
  const [, answer] = await once(socket, 'unexpected-response')
  expect(answer.statusCode).toBe(426)
  expect((await answer.setEncoding('utf8').toArray()).join('')).toBe('none')
})

it.each([
  [401, 'HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic\r\ncontent-length: 2\r\n\r\nno', 401, 'no'],
  [200, 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno', 200, 'no'],
  [302, 'HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n', 302, ''],
])('where the local server answers %i instead, the visitor is told so', async (_, text, status, said) => {
  const arrival = open.site.upgrade()
  const socket = open.visitor.webSocket('/instead')
  const refused = once(socket, 'unexpected-response')
  ;(await arrival).socket.end(text)
  const [, answer] = await refused
  expect(answer.statusCode).toBe(status)
  expect((await answer.setEncoding('utf8').toArray()).join('')).toContain(said)
})

it('one that is not read holds its sender back, and nobody else', async () => {
  const { ours, theirs } = await opened()
  ours.pause()
  const piece = randomBytes(64 * 1024)
  // What a machine's sockets hold on four connections is less than this.
  for (let i = 0; i < 2000; i++) theirs.send(piece)
  await expect.poll(() => theirs.bufferedAmount, { timeout: 5000 }).toBeGreaterThan(0)
  expect((await open.visitor.get('/hello')).text).toBe('hello')
  let heard = 0
  const all = new Promise<void>((resolve) => {
    ours.on('message', () => {
      if (++heard === 2000) resolve()
    })
  })
  ours.resume()
  await all
  ours.close()
})
