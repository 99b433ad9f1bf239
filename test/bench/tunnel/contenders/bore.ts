import { isFree, portOrFree } from '@instatunnel/local/ports'
import { startMeasured } from '../../cores.ts'
import { builtCrate } from '../../tools.ts'
import { waitForPort } from '../../wait.ts'
import type { Contender } from './contender.ts'

/** Where bore's server meets its agents: no option changes it. */
const CONTROL_PORT = 7835

/** bore, in Rust: a port of the server's for each tunnel, and raw TCP through it. */
export const bore: Contender = {
  name: 'bore',
  peer: true,
  async start(target) {
    const command = await builtCrate({ crate: 'bore-cli', program: 'bore', version: '0.6.0' })
    if (!(await isFree(CONTROL_PORT))) throw new Error(`port ${CONTROL_PORT}, which bore needs, is taken`)
    const server = await startMeasured({
      name: 'bore server',
      command,
      args: ['server', '--bind-addr', '127.0.0.1'],
    })
    await waitForPort(CONTROL_PORT, server)
    return {
      pids: { server: server.pid },
      async connect() {
        const port = await portOrFree(0)
        const args = [`${target.port}`, '--local-host', '127.0.0.1', '--to', '127.0.0.1', '--port', `${port}`]
        const agent = await startMeasured({ name: 'bore local', command, args: ['local', ...args] })
        return { place: { port, host: 'localhost' }, pids: { agent: agent.pid }, stop: agent.stop }
      },
      stop: server.stop,
    }
  },
}
