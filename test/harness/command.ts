import { join } from 'node:path'
import { type RunningProcess, startProcess } from '@instatunnel/local/process'
import { repository } from '@instatunnel/local/repository'
import { within } from './agent.ts'
import type { TestStack } from './stack.ts'

/** Runs `instatunnel PORT --subdomain NAME --json` as its user does, and resolves once it is connected. */
export async function startCommand(
  { gateway }: TestStack,
  { subdomain, port, key }: { subdomain: string; port: number; key: string },
): Promise<RunningProcess> {
  const running = await startProcess({
    name: 'instatunnel',
    command: join(repository, 'cli/bin/instatunnel'),
    args: [`${port}`, '--subdomain', subdomain, '--json'],
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent', // no key of ours is found there
      INSTATUNNEL_API: gateway.url,
      INSTATUNNEL_API_KEY: key,
    },
  })
  const connected = new Promise<void>((resolve) => {
    const end = running.onLine((line) => {
      if (!line.startsWith('{"event":"connected"')) return
      end()
      resolve()
    })
  })
  const said = () => `the command is not connected: ${running.lines().join('\n')}`
  const ended = running.exited.then(() => Promise.reject(new Error(said())))
  ended.catch(() => {}) // after it was connected, it may
  await within(Promise.race([connected, ended]), said)
  return running
}
