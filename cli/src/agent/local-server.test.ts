import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { startHttp } from '../../test/local-servers.ts'
import type { Asker } from './asker.ts'
import { LocalServer } from './local-server.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

/** A local server, and which of its connections each request came on. */
async function start() {
  const connections: number[] = []
  const sockets = new Map<object, number>()
  const { port, server } = await startHttp((request, response) => {
    connections.push(sockets.get(request.socket) ?? 0)
    response.end()
  })
  server.keepAliveTimeout = 0
  let closed = 0
  server.on('connection', (socket) => {
    sockets.set(socket, sockets.size + 1)
    socket.on('close', () => closed++)
  })
  const local = new LocalServer(port)
  onTestFinished(() => local.close())
  const ask = (maxIdleMs?: number) =>
    new Promise<void>((resolve, reject) => {
      const head = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'
      const asked = { method: 'GET', head, chunked: false, ends: true, upgrades: false }
      const ignore = () => {}
      const asker = { informed: ignore, answered: ignore, received: ignore, drained: ignore, broken: reject }
      local.ask(asked, { ...asker, completed: () => setImmediate(resolve) }, maxIdleMs)
    })
  return { ask, connections, local, closed: () => closed }
}

describe('connections to the local server', () => {
  it('are kept for four seconds', async () => {
    const { ask, connections, closed } = await start()
    await ask()
    vi.advanceTimersByTime(3900)
    await ask()
    expect([connections, closed()]).toEqual([[1, 1], 0])
    vi.advanceTimersByTime(5000)
    await expect.poll(closed).toBe(1)
    await ask()
    expect(connections).toEqual([1, 1, 2])
  })

  it('are new for who needs one that was idle for less, and the younger ones go first', async () => {
    const { ask, connections } = await start()
    await ask()
    vi.advanceTimersByTime(1500)
    await ask(1000)
    await ask(1000)
    await ask(0)
    await ask()
    expect(connections).toEqual([1, 2, 2, 3, 3])
  })

  it('end with the agent', async () => {
    const { ask, local, closed } = await start()
    await ask()
    local.close()
    await expect.poll(closed).toBe(1)
  })

  it('stay where an earlier request leaves one that carries the next', async () => {
    const answers: ServerResponse[] = []
    const { port } = await startHttp((_request, response) => void answers.push(response))
    const local = new LocalServer(port)
    onTestFinished(() => local.close())
    const ask = () => {
      const over = Promise.withResolvers<string>()
      const ignore = () => {}
      const asker: Asker = {
        ...{ informed: ignore, answered: ignore, received: ignore, drained: ignore },
        completed: () => setImmediate(over.resolve, 'whole'),
        broken: (error) => over.resolve(String(error)),
      }
      const head = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'
      const asked = { method: 'GET', head, chunked: false, ends: true, upgrades: false }
      return { asker, connection: local.ask(asked, asker), over: over.promise }
    }
    const first = ask()
    await expect.poll(() => answers.length).toBe(1)
    answers[0]?.end()
    await first.over
    const second = ask()
    expect(second.connection).toBe(first.connection)
    await expect.poll(() => answers.length).toBe(2)
    first.connection.leave(first.asker)
    answers[1]?.end()
    expect(await second.over).toBe('whole')
  })
})
