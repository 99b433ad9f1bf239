import { readFile } from 'node:fs/promises'
import { request as requestTls } from 'node:https'
import { createLog } from '@instatunnel/kit/log'
import type { TlsFiles } from '@instatunnel/kit/tls'
import { makeAuthority } from '@instatunnel/test/certificates'
import { restClient } from '@instatunnel/test/rest-client'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { openConnections } from '../../test/agents.ts'
import type { FindDestination } from '../destination.ts'
import { serveGateway } from './gateway-server.ts'

const authority = await makeAuthority()
afterAll(() => authority.remove())

const meter = { request: () => {}, bytesIn: () => {}, bytesOut: () => {} }

/** Serves what the gateway sends; docs has an agent, unless it is said otherwise. */
async function open({
  tls,
  find,
  draining = { now: false },
}: {
  tls?: TlsFiles
  find?: FindDestination
  draining?: { now: boolean }
} = {}) {
  const { connections, connect } = openConnections()
  const logged: string[] = []
  const server = await serveGateway({
    listen: '127.0.0.1:0',
    tls,
    log: createLog('relay', 'error', { write: (line) => logged.push(line) }),
    clock: { isReady: () => true, state: () => 'exact' },
    isDraining: () => draining.now,
    visits: {
      domain: 'example.com',
      responseTimeoutMs: 10_000,
      lingerMs: 10_000,
      find:
        find ??
        ((name, origin) => {
          const carrier = connections.leastBusy(connections.at(name), origin) ?? 'offline'
          return typeof carrier === 'string' ? carrier : { carrier, meter }
        }),
    },
    onAgent: () => {},
  })
  onTestFinished(() => server.close())
  const call = restClient(server)
  const visit = (host: string, headers: Record<string, string> = {}) =>
    call('GET', '/', { headers: { ...headers, host } })
  return { server, connect, visit, logged, draining }
}

describe('the port that the gateway sends to', () => {
  it('tells its health', async () => {
    const { visit, draining } = await open()
    expect((await visit('any', { 'x-instatunnel-health': '1' })).status).toBe(200)
    draining.now = true
    expect((await visit('any', { 'x-instatunnel-health': '1' })).status).toBe(503)
  })

  it('counts visitors until they are answered whole, or have gone', async () => {
    const { server, connect, visit } = await open()
    const agent = connect()
    const visits = [visit('docs.example.com'), visit('docs.example.com')]
    const [answered, lost] = [await agent.next(), await agent.next()]
    expect(server.visitors).toBe(2)
    answered.stream.head('204\nNo Content', true)
    lost.stream.head('200\nOK', false)
    await Promise.race(visits)
    await expect.poll(() => server.visitors).toBe(1)
    lost.stream.reset(0)
    await expect(Promise.all(visits)).rejects.toThrow()
    await expect.poll(() => server.visitors).toBe(0)
  })

  it('keeps no connection of the gateway while it drains', async () => {
    const { connect, visit, draining } = await open()
    connect().answer('ok')
    draining.now = true
    expect(await visit('docs.example.com', { connection: 'keep-alive' })).toMatchObject({
      text: 'ok',
      headers: { connection: 'close' },
    })
  })

  it.each<Record<string, string>>([{}, { connection: 'upgrade', upgrade: 'websocket' }])(
    'outlives a fault of ours with one visitor: %j',
    async (headers) => {
      const { server, visit, logged } = await open({
        find(name) {
          if (name === 'docs') throw new Error('a fault')
          return 'offline'
        },
      })
      await expect(visit('docs.example.com', headers)).rejects.toThrow()
      expect(logged.join()).toContain('a fault')
      expect((await visit('shop.example.com', headers)).status).toBe(502)
      await expect.poll(() => server.visitors).toBe(0)
    },
  )
})

describe('by mutual TLS the port that the gateway sends to', () => {
  const certified = async (by = authority) => {
    const { certFile, keyFile } = await by.sign('gateway', 'DNS:gateway')
    const [cert, key, ca] = await Promise.all(
      [certFile, keyFile, authority.caFile].map((file) => readFile(file)),
    )
    return { cert, key, ca } as TlsFiles
  }
  const health = (port: number, tls: Partial<TlsFiles>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'x-instatunnel-health': '1' }
      const asked = requestTls({
        host: '127.0.0.1',
        port,
        headers,
        ...tls,
        checkServerIdentity: () => undefined,
      })
      asked.on('response', (answer) => resolve(answer.resume().statusCode))
      asked.on('error', reject)
      asked.end()
    })

  it('answers the gateway, and nobody without a certificate of ours', async () => {
    const tls = await certified()
    const { server } = await open({ tls })
    expect(await health(server.port, tls)).toBe(200)
    const stranger = await makeAuthority()
    onTestFinished(() => stranger.remove())
    await expect(health(server.port, await certified(stranger))).rejects.toThrow()
    await expect(health(server.port, { ca: tls.ca })).rejects.toThrow()
    await expect(restClient(server)('GET', '/')).rejects.toThrow()
  })
})
