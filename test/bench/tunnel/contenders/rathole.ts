import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { portOrFree } from '@instatunnel/local/ports'
import { startMeasured } from '../../cores.ts'
import { builtCrate } from '../../tools.ts'
import { waitForPort } from '../../wait.ts'
import type { Contender } from './contender.ts'

/** rathole, in Rust: a port of the server's for each configured service, and raw TCP through it. */
export const rathole: Contender = {
  name: 'rathole',
  peer: true,
  async start(target) {
    const command = await builtCrate({
      crate: 'rathole',
      program: 'rathole',
      version: '0.5.0',
      // Plain TCP, as all here; and the versions of 2023 that it locks do not compile any more.
      args: ['--no-default-features', '--features', 'server,client'],
      locked: false,
    })
    const folder = await mkdtemp(join(tmpdir(), 'instatunnel-bench-rathole-'))
    const [control, port] = [await portOrFree(0), await portOrFree(0)]
    const service = `[SIDE.services.bench]\ntoken = "bench"\n`
    const configs = {
      server: `[server]\nbind_addr = "127.0.0.1:${control}"\n${service}bind_addr = "127.0.0.1:${port}"\n`,
      client: `[client]\nremote_addr = "127.0.0.1:${control}"\n${service}local_addr = "127.0.0.1:${target.port}"\n`,
    }
    const run = async (side: keyof typeof configs) => {
      const file = join(folder, `${side}.toml`)
      await writeFile(file, configs[side].replace('SIDE', side))
      return startMeasured({ name: `rathole ${side}`, command, args: [`--${side}`, file] })
    }
    const server = await run('server')
    await waitForPort(control, server)
    return {
      pids: { server: server.pid },
      async connect() {
        const agent = await run('client')
        return { place: { port, host: 'localhost' }, pids: { agent: agent.pid }, stop: agent.stop }
      },
      async stop() {
        await server.stop()
        await rm(folder, { recursive: true })
      },
    }
  },
}
