import { fileURLToPath } from 'node:url'
import { portOrFree } from '@instatunnel/local/ports'
import { type ProcessOptions, type RunningProcess, startProcess } from '@instatunnel/local/process'
import { waitForPort } from '../wait.ts'

/** A server that does nothing, running. */
export interface Idle {
  readonly port: number
  readonly pid: number
  stop(): Promise<unknown>
}

/** Starts one of this folder's servers; resolves once it listens. `start` says on which core, if on any. */
export async function startIdle(
  name: 'check' | 'backend',
  start: (options: ProcessOptions) => Promise<RunningProcess> = startProcess,
): Promise<Idle> {
  const script = fileURLToPath(new URL(`./${name}.ts`, import.meta.url))
  const port = await portOrFree(0)
  const running = await start({ name: `idle ${name}`, command: process.execPath, args: [script, `${port}`] })
  await waitForPort(port, running)
  return { port, pid: running.pid, stop: running.stop }
}
