import { fileURLToPath } from 'node:url'
import { type RunningProcess, startProcess } from '@instatunnel/local/process'
import { within } from './agent.ts'
import type { TestStack } from './stack.ts'

const script = fileURLToPath(new URL('../bench/tunnel/agent-process.ts', import.meta.url))

/** Runs an agent in a process of its own and resolves once it is connected. */
export async function startCommand(
  { gateway }: TestStack,
  { tunnelId, port, key }: { tunnelId: string; port: number; key: string },
): Promise<RunningProcess> {
  const running = await startProcess({
    name: 'instatunnel',
    command: process.execPath,
    args: [script, gateway.url, `${port}`, tunnelId],
    env: { INSTATUNNEL_API_KEY: key },
  })
  const connected = new Promise<void>((resolve) => {
    running.onLine((line) => {
      if (line.includes('connected')) resolve()
    })
  })
  await within(connected, () => `the command is not connected: ${running.lines().join('\n')}`)
  return running
}
