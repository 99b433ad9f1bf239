import { fileURLToPath } from 'node:url'
import { type RunningProcess, startProcess } from '@instatunnel/local/process'
import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it } from 'vitest'
import { allOf, until } from '../test/carrying.ts'
import { startNeighbours } from '../test/neighbours.ts'
import { newTunnel, relayEnvironment, startRelay } from '../test/start-relay.ts'

const within = { timeout: 15_000 }
const main = fileURLToPath(new URL('./main.ts', import.meta.url))
const nats = await freshNats({ streams: true })
const neighbours = await startNeighbours()
afterAll(() => neighbours.close())

/** A relay that is a process of its own. */
async function startMain() {
  let child: RunningProcess | undefined
  const relay = await startRelay(neighbours, nats, {
    settings: { LOG_LEVEL: 'trace' },
    async launch(environment) {
      const started = await startProcess({
        name: 'relay',
        command: process.execPath,
        args: [main],
        env: { ...environment },
      })
      child = started
      // The first line that it logs names the port.
      const port = await new Promise<number>((resolve, reject) => {
        started.onLine((line) => line.includes('"serving"') && resolve(JSON.parse(line).port))
        started.exited.then(() => reject(new Error(started.lines().join('\n'))))
      })
      return { port, close: () => started.kill('SIGKILL').then(() => {}) }
    },
  })
  return { relay, child: child as RunningProcess }
}

describe('the process', () => {
  it('ends with 0 on SIGTERM when what is in flight is done, and has logged no secret', async () => {
    const { relay, child } = await startMain()
    const tunnel = newTunnel()
    const token = await neighbours.sign(tunnel.userId, {
      tunnel: { id: tunnel.id, subdomain: tunnel.subdomain, tokenGeneration: 0 },
    })
    const agent = await relay.agent(tunnel, { token })
    await relay.ask(tunnel, { token, path: '/v1/tunnels/other/connect' })
    const visit = relay.visit(tunnel.subdomain, {
      path: '/?secret=in-the-query',
      headers: { authorization: 'Bearer of-a-visitor', cookie: 'of=a-visitor' },
    })
    const { stream } = await agent.next()
    const stopped = child.stop()
    expect(await agent.sentAway).toBe('draining')
    stream.head('200\nOK\nset-cookie\nof=a-site', false)
    stream.send(Buffer.from('to its end'), true)
    expect((await visit).text).toBe('to its end')
    expect(await stopped).toEqual({ code: 0, signal: null })
    const logged = child.lines().join('\n')
    expect(logged).toContain('agent connected')
    const { SERVICE_KEY = '', NATS_SEED = '' } = relayEnvironment(neighbours, nats)
    const secrets = [
      token,
      NATS_SEED,
      SERVICE_KEY.split('\n')[1],
      'in-the-query',
      'of-a-visitor',
      'a-visitor',
      'a-site',
    ]
    for (const secret of secrets) expect(logged).not.toContain(secret)
    for (const line of child.lines()) expect(['error', 'fatal']).not.toContain(JSON.parse(line).level)
  })

  it('that is killed cuts visitors at other relays off, and those who come then wait for its agents', async () => {
    const other = await startRelay(neighbours, nats)
    const { relay, child } = await startMain()
    const tunnel = newTunnel()
    const agent = await relay.agent(tunnel)
    agent.answer('before')
    await expect.poll(async () => (await other.visit(tunnel.subdomain)).text, within).toBe('before')
    agent.answer(undefined)
    const socket = await other.visitor()
    socket.write(`GET / HTTP/1.1\r\nHost: ${tunnel.subdomain}.example.com\r\n\r\n`)
    const { stream } = await agent.next()
    stream.head('200\nOK', false)
    stream.send(Buffer.from('half'))
    await until(socket, 'half')
    const all = allOf(socket)
    await child.kill('SIGKILL')
    expect(await all).not.toContain('0\r\n\r\n')
    await agent.ended
    // The other relay thinks that it lives, for some seconds yet.
    const waiting = [other.visit(tunnel.subdomain), other.visit(tunnel.subdomain)]
    const again = await other.agent(tunnel, { generation: 2 })
    again.answer('after')
    expect((await Promise.all(waiting)).map(({ text }) => text)).toEqual(['after', 'after'])
  })

  it('stops with the name of a setting at fault, and not its value', async () => {
    const child = await startProcess({
      name: 'relay',
      command: process.execPath,
      args: [main],
      env: { ...relayEnvironment(neighbours, nats), PUBLIC_URL: 'ftp://secret' },
    })
    expect(await child.exited).toEqual({ code: 1, signal: null })
    const said = child.lines().join('\n')
    expect(said).toContain('Settings: PUBLIC_URL: must be http:// or https://')
    expect(said).not.toContain('ftp://secret')
  })
})
