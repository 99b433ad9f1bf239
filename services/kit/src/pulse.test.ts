import { connect as connectSocket, createServer, type Socket } from 'node:net'
import { freshNats } from '@instatunnel/test/nats'
import { describe, expect, it, onTestFinished } from 'vitest'
import { replicasOn, within } from '../test/replicas.ts'
import { followPulse } from './pulse.ts'

const server = await freshNats()

/** A network between a client and NATS: it may swallow whatever its connections carry, and leaves them open. */
async function startNetwork() {
  const links: { client: Socket; upstream: Socket }[] = []
  const network = createServer((client) => {
    const upstream = connectSocket(server.port, '127.0.0.1')
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => {})
    links.push({ client, upstream })
  })
  await new Promise<void>((resolve) => network.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const { client, upstream } of links) for (const socket of [client, upstream]) socket.destroy()
    network.close()
  })
  const address = network.address()
  return {
    url: `nats://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    links,
    swallow() {
      for (const { client, upstream } of links) {
        client.unpipe(upstream)
        upstream.unpipe(client)
        for (const socket of [client, upstream]) socket.resume()
      }
    },
  }
}

describe('followPulse', () => {
  it('tells that NATS answers, goes and is back', async () => {
    const { connectAs } = replicasOn(server)
    const { connection } = await connectAs('auth').ready
    const changes: boolean[] = []
    const pulse = followPulse(connection, (isThere) => changes.push(isThere))
    onTestFinished(() => pulse.stop())
    await expect.poll(pulse.isThere, within).toBe(true)
    await server.kill()
    await expect.poll(pulse.isThere, within).toBe(false)
    await server.start()
    await expect.poll(pulse.isThere, within).toBe(true)
    expect(changes).toEqual([true, false, true])
    pulse.stop()
    await server.kill()
    await server.start()
    expect(changes).toHaveLength(3)
  })

  it('notices a connection that is dead without a word; another is made in its place', async () => {
    const network = await startNetwork()
    const { connectAs, follow, announce, current } = replicasOn({ ...server, url: network.url })
    announce('auth_a', connectAs('auth'))
    const replicas = follow()
    await current(replicas)
    expect(network.links).toHaveLength(2)

    const began = performance.now()
    network.swallow()
    await expect.poll(replicas.isThere, within).toBe(false)
    expect(performance.now() - began).toBeLessThan(3000)
    await current(replicas)
    await expect.poll(replicas.live, within).toEqual(['auth_a'])
    expect(performance.now() - began).toBeLessThan(15_000)
    expect(network.links).toHaveLength(4)
    expect(replicas.begun).toHaveLength(2)
  }, 40_000)
})
