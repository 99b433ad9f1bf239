import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RunningProcess } from '@instatunnel/local/process'
import { repository } from '@instatunnel/local/repository'
import { startMeasured } from '../cores.ts'
import type { Platform } from './platform.ts'

/** Runs the command as people do, its lines thrown away. */
export const startCommand = (
  platform: Platform,
  { port, subdomain, env = {} }: { port: number; subdomain: string; env?: Readonly<Record<string, string>> },
): Promise<RunningProcess> => {
  const command = join(repository, 'cli/bin/instatunnel')
  return startMeasured({
    name: 'instatunnel',
    command: 'sh',
    args: ['-c', 'exec "$0" "$@" >/dev/null', command, `${port}`, '--subdomain', subdomain],
    env: { ...credentials(platform), HOME: tmpdir(), ...env },
  })
}

/** Runs many agents in one process, for tunnels that exist; says "connected" once all of them are. */
export const startAgents = (
  platform: Platform,
  { port, tunnelIds }: { port: number; tunnelIds: readonly string[] },
): Promise<RunningProcess> =>
  startMeasured({
    name: 'agents',
    command: process.execPath,
    args: [fileURLToPath(new URL('./agents.ts', import.meta.url)), `${port}`, ...tunnelIds],
    env: credentials(platform),
  })

const credentials = ({ gateway, apiKey }: Platform) => ({
  INSTATUNNEL_API: gateway.url,
  INSTATUNNEL_API_KEY: apiKey,
})
