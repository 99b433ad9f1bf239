import type { Command } from 'commander'
import { readConfig } from '../src/config.ts'
import { openCredentials } from '../src/credentials.ts'
import type { Deps } from '../src/deps.ts'
import { createOutput } from '../src/output.ts'
import { createProgram } from '../src/program.ts'

/** The program as these arguments load it. It is to be looked at: nothing in it is run. */
export async function programOf(args: readonly string[]): Promise<Command> {
  const config = readConfig({ HOME: '/nowhere' })
  const streams = { in: process.stdin, out: process.stdout, err: process.stderr }
  const output = createOutput({ ...streams, json: false, color: false })
  const credentials = openCredentials({ configDir: config.configDir, note: output.note })
  return createProgram({ config, credentials, output, streams } satisfies Deps, args)
}
