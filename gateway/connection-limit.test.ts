import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeAuthority } from '@instatunnel/test/certificates'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startFilter } from './test/connection-limit-filter.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'

/** One connection, and whether the gateway has closed it. */
interface Connection {
  socket: Socket
  closed: Promise<void>
}

const limit = 5

async function start(options: Parameters<typeof startGateway>[0] = {}): Promise<TestGateway> {
  const gateway = await startGateway({ connectionsPerAddress: limit, concurrency: 2, ...options })
  onTestFinished(() => gateway.stop())
  return gateway
}

function open({ port }: { port: number }, localAddress = '127.0.0.1'): Connection {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {}) // a reset is a close
  socket.resume()
  return { socket, closed: new Promise((resolve) => socket.on('close', () => resolve())) }
}

/** Resolves once a request on the connection is answered; `false` where it is closed instead. */
function serves({ socket, closed }: Connection): Promise<boolean> {
  const answered = new Promise<boolean>((resolve) => socket.once('data', () => resolve(true)))
  socket.write('GET / HTTP/1.1\r\nhost: docs.tunnels.test\r\n\r\n')
  return Promise.race([answered, closed.then(() => false)])
}

const opened = (gateway: TestGateway, count: number, from?: string) =>
  Promise.all(
    Array.from({ length: count }, async () => {
      const connection = open(gateway, from)
      return { ...connection, served: await serves(connection) }
    }),
  )

const end = (connections: Connection[]) =>
  Promise.all(
    connections.map(({ socket, closed }) => {
      socket.destroy()
      return closed
    }),
  )

/** Every connection of before is over for the gateway: an address may have all of its limit once more, and no more. */
async function expectNoneCounted(gateway: TestGateway): Promise<void> {
  await vi.waitFor(
    async () => {
      const connections = await opened(gateway, limit)
      await end(connections)
      expect(connections.map(({ served }) => served)).toEqual(Array(limit).fill(true))
    },
    { timeout: 15_000, interval: 100 },
  )
  await vi.waitFor(
    async () => {
      const connections = await opened(gateway, limit + 3)
      await end(connections)
      expect(connections.filter(({ served }) => served)).toHaveLength(limit)
    },
    { timeout: 15_000, interval: 100 },
  )
}

describe('an address', () => {
  it('may have its number of connections, over all threads, and the next is closed', async () => {
    const gateway = await start()
    const connections = await opened(gateway, 4 * limit)
    expect(connections.filter(({ served }) => served)).toHaveLength(limit)
    expect(await gateway.envoy.admin('/stats?filter=wasmcustom')).toContain(
      `closed_connections: ${3 * limit}`,
    )
    const said = gateway.envoy.logTail().filter((line) => line.includes('CONNECTIONS_PER_ADDRESS'))
    expect(said[0]).toMatch(/closed: 127\.0\.0\.1:\d+$/)
    expect(said.length).toBeLessThanOrEqual(2) // a thread says it once a minute
  })

  it('takes none of another’s', async () => {
    const gateway = await start()
    await opened(gateway, 2 * limit)
    const connections = await opened(gateway, limit, '127.0.0.2')
    expect(connections.map(({ served }) => served)).toEqual(Array(limit).fill(true))
  })

  it('may have another where one of its own has ended', async () => {
    const gateway = await start()
    const connections = await opened(gateway, limit)
    await end(connections.slice(0, 1))
    await vi.waitFor(async () => expect(await serves(open(gateway))).toBe(true), { timeout: 10_000 })
    expect(await serves(open(gateway))).toBe(false)
  })

  it('is counted by none of its connections that ended, however they did', async () => {
    const gateway = await start({
      edit: (_, text) => text.replace('request_headers_timeout: 10s', 'request_headers_timeout: 0.2s'),
    })
    for (let round = 0; round < 40; round++) {
      const connections = Array.from({ length: 12 }, () => open(gateway))
      for (const [place, { socket }] of connections.entries()) {
        if (place % 4 === 0) socket.destroy() // before or after it was accepted
        if (place % 4 === 1) socket.end('GET / HTTP/1.1\r\nhost: docs.tunnels.test\r\n\r\n')
        if (place % 4 === 2) socket.end('no HTTP at all\r\n\r\n')
        if (place % 4 === 3) socket.write('GET / HTTP/1.1\r\n', () => socket.resetAndDestroy())
      }
      await Promise.all(connections.map(({ closed }) => closed))
    }
    // And those that the gateway ends: half a request is answered 408.
    const slow = await Promise.all(Array.from({ length: limit }, async () => open(gateway)))
    for (const { socket } of slow) socket.write('GET / HTTP/1.1\r\n')
    await Promise.all(slow.map(({ closed }) => closed))
    await expectNoneCounted(gateway)
  }, 60_000)

  it('is counted on where the gateway’s settings change', async () => {
    const runDir = await mkdtemp(join(tmpdir(), 'gateway-'))
    onTestFinished(() => rm(runDir, { recursive: true, force: true }))
    const gateway = await start({ runDir })
    const before = await opened(gateway, limit)
    await changeListener(gateway, runDir)
    expect(await serves(open(gateway))).toBe(false)
    await end(before)
    await expectNoneCounted(gateway)
  }, 40_000)

  it('that is past its limit costs no TLS handshake', async () => {
    const authority = await makeAuthority()
    onTestFinished(() => authority.remove())
    const { certFile, keyFile } = await authority.sign('site', 'DNS:api.test')
    const gateway = await start({ downstreamTls: { certFile, keyFile } })
    // None of them says anything: a handshake has longer than this test.
    const connections = Array.from({ length: limit + 1 }, () => open(gateway))
    await Promise.race(connections.map(({ closed }) => closed))
    expect(connections.filter(({ socket }) => socket.closed)).toHaveLength(1)
  })

  it('of a proxy of ours has no limit', async () => {
    const gateway = await start({ trustedHops: 1 })
    const connections = await opened(gateway, 4 * limit)
    expect(connections.map(({ served }) => served)).toEqual(Array(4 * limit).fill(true))
  })
})

/** Has Envoy take a new listener in the old one's place; resolves once it has. */
async function changeListener({ envoy }: TestGateway, runDir: string): Promise<void> {
  const file = join(runDir, 'place/listeners.yaml')
  const text = await readFile(file, 'utf8')
  await writeFile(`${file}.new`, text.replace('buffer_limit_bytes: 65536', 'buffer_limit_bytes: 65537'))
  await rename(`${file}.new`, file)
  await vi.waitFor(
    async () =>
      expect(await envoy.admin('/stats?filter=listener_manager.listener_modified')).toContain('modified: 1'),
    { timeout: 10_000 },
  )
}

/** The same filter as Envoy runs, before what Envoy lends it. */
describe('whose connection it is', () => {
  const same = [
    ['192.0.2.1:1', '192.0.2.1:65535'],
    ['192.0.2.1:1', '[::ffff:192.0.2.1]:2'],
    ['[2001:db8:0:1::1]:1', '[2001:db8:0:1:ffff:ffff:ffff:ffff]:2'],
    ['[2001:db8::1]:1', '[2001:db8:0:0:5::]:2'],
    ['[::1]:1', '[::2]:2'],
    ['[fe80::1%eth0]:1', '[fe80::2]:2'],
  ] as const
  const different = [
    ['192.0.2.1:1', '192.0.2.2:1'],
    ['192.0.2.1:1', '1.192.0.2:1'],
    ['[2001:db8:0:1::1]:1', '[2001:db8:0:2::1]:1'],
    ['[2001:db8::1]:1', '[2001:db9::1]:1'],
    ['[1::]:1', '[::1]:1'],
    ['[1:2::3]:1', '[1::2:3]:1'],
    ['[::ffff:192.0.2.1]:1', '[::ffff:192.0.2.2]:1'],
  ] as const

  it.each(same)('%s and %s are one', (one, other) => {
    const filter = startFilter(1)
    expect([filter.connect(one), filter.connect(other)]).toEqual(['open', 'closed'])
  })

  it.each(different)('%s and %s are two', (one, other) => {
    const filter = startFilter(1)
    expect([filter.connect(one), filter.connect(other)]).toEqual(['open', 'open'])
  })

  it('is one count of 16,384, whatever strangers write: memory does not grow', () => {
    const filter = startFilter(1_000_000)
    const before = filter.keys()
    for (let i = 0; i < 20_000; i++)
      filter.connect(`[2001:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1]:1`)
    expect([before, filter.keys()]).toEqual([16_385, 16_385])
  })
})
