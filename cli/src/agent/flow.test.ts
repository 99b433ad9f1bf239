import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { MAX_DATA_BYTES, RESET, WINDOW_BYTES } from '@instatunnel/kit/frames'
import { describe, expect, it } from 'vitest'
import { connectedAgent } from '../../test/agents.ts'
import { atRest } from '../../test/at-rest.ts'
import { startHttp, startRaw } from '../../test/local-servers.ts'
import { ask, Visitor } from '../../test/relay-end.ts'

const MIB = 1024 * 1024
const digest = (...pieces: Buffer[]) =>
  pieces.reduce((hash, piece) => hash.update(piece), createHash('sha256')).digest('hex')

/** Writes so much, as fast as it is taken; what was written, as a digest. */
async function write(response: ServerResponse, bytes: number): Promise<void> {
  const hash = createHash('sha256')
  const piece = randomBytes(MIB)
  for (let written = 0; written < bytes; written += piece.length) {
    piece.writeUInt32BE(written)
    const copy = Buffer.from(piece)
    hash.update(copy)
    if (!response.write(copy)) await once(response, 'drain')
  }
  response.addTrailers({ digest: hash.digest('hex') })
  response.end()
}

describe('a large answer', () => {
  it('arrives whole, eight at once', async () => {
    const { port } = await startHttp((_request, response) => {
      response.writeHead(200, { trailer: 'digest' })
      write(response, 16 * MIB)
    })
    const agent = await connectedAgent(port)
    const visitors = await Promise.all(
      Array.from({ length: 8 }, () => ask(agent, { headers: ['host', 'a'] })),
    )
    for (const { bytes, chunks, trailed } of visitors)
      expect([bytes, trailed]).toEqual([16 * MIB, `digest\n${digest(...chunks)}`])
  })

  it('is asked of the local server only as fast as the visitor takes it', async () => {
    let written = 0
    const { port } = await startRaw((socket) => {
      const piece = Buffer.alloc(64 * 1024)
      const more = () => {
        do written += piece.length
        while (socket.write(piece))
      }
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.on('drain', more)
        more()
      })
    })
    const { link } = await connectedAgent(port)
    const visitor = new Visitor(link, { headers: ['host', 'a'], holds: true })
    await expect.poll(() => visitor.bytes).toBeGreaterThanOrEqual(WINDOW_BYTES)
    // What is on its way then lies in the system's buffers, and grows no more.
    await atRest(() => written)
    expect(visitor.bytes).toBeLessThanOrEqual(WINDOW_BYTES + MAX_DATA_BYTES)
    const held = visitor.bytes
    visitor.stream.consumed(held)
    await expect.poll(() => visitor.bytes).toBeGreaterThanOrEqual(held + WINDOW_BYTES)
    visitor.stream.reset(RESET.cancelled)
  })

  it('does not hold others up that share the connection', async () => {
    const { port } = await startHttp((request, response) => {
      if (request.url === '/large') write(response, 64 * MIB)
      else response.end('small')
    })
    const agent = await connectedAgent(port)
    const large = new Visitor(agent.link, { path: '/large', headers: ['host', 'a'], holds: true })
    await expect.poll(() => large.bytes).toBeGreaterThanOrEqual(WINDOW_BYTES)
    for (let nth = 0; nth < 20; nth++)
      expect((await ask(agent, { headers: ['host', 'a'] })).body).toBe('small')
    large.stream.reset(RESET.cancelled)
  })
})

describe('a large body', () => {
  it('arrives whole, eight at once', async () => {
    const { port } = await startHttp(async (request, response) => {
      const hash = createHash('sha256')
      for await (const chunk of request) hash.update(chunk)
      response.end(hash.digest('hex'))
    })
    const { link } = await connectedAgent(port)
    const uploads = Array.from({ length: 8 }, async () => {
      const visitor = new Visitor(link, { method: 'POST', headers: ['host', 'a'], body: false })
      const hash = createHash('sha256')
      for (let sent = 0; sent < 128; sent++) {
        const piece = randomBytes(MAX_DATA_BYTES / 2)
        hash.update(piece)
        const before = visitor.writables
        if (!visitor.stream.send(piece))
          await expect.poll(() => visitor.writables, { interval: 1, timeout: 10_000 }).toBe(before + 1)
      }
      visitor.stream.end()
      await visitor.over
      expect(visitor.body).toBe(hash.digest('hex'))
    })
    await Promise.all(uploads)
  })

  it('is taken from the visitor only as fast as the local server takes it', async () => {
    let go = () => {}
    const { port } = await startHttp((request, response) => {
      go = () => {
        let bytes = 0
        request.on('data', (chunk: Buffer) => {
          bytes += chunk.length
        })
        request.on('end', () => response.end(String(bytes)))
      }
    })
    const { link } = await connectedAgent(port)
    const visitor = new Visitor(link, { method: 'POST', headers: ['host', 'a'], body: false })
    const piece = Buffer.alloc(MAX_DATA_BYTES)
    let sent = 0
    const sendAll = () => {
      do sent += piece.length
      while (visitor.stream.send(piece))
    }
    visitor.writable = () => sendAll()
    sendAll()
    await atRest(() => sent)
    expect(visitor.stream.credit).toBeLessThanOrEqual(0)
    // More than what the system's own buffers take would mean that the agent holds it.
    expect(sent).toBeLessThan(32 * MIB)
    visitor.writable = () => {}
    go()
    await expect.poll(() => visitor.stream.credit).toBeGreaterThan(0)
    visitor.stream.end()
    await visitor.over
    expect(visitor.body).toBe(String(sent))
  })
})

describe('many requests', () => {
  it('are answered at once up to 1,024, and refused past that', async () => {
    const waiting: ServerResponse[] = []
    const { port } = await startHttp((_request, response) => waiting.push(response))
    const { link } = await connectedAgent(port)
    const visitors = Array.from({ length: 1025 }, () => new Visitor(link, { headers: ['host', 'a'] }))
    await expect.poll(() => waiting.length, { timeout: 10_000 }).toBe(1024)
    expect(visitors.filter(({ given }) => given)).toEqual([visitors[1024]])
    expect(visitors[1024]?.given).toEqual({ code: RESET.too_many, message: 'too many requests at once' })
    for (const response of waiting) response.end('done')
    await Promise.all(visitors.map(({ over }) => over))
    expect(visitors.filter(({ body }) => body === 'done')).toHaveLength(1024)
    expect(link.size).toBe(0)
  })
})
