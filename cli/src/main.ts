import { readConfig } from './config.ts'
import { openCredentials } from './credentials.ts'
import { exitCodes, reportFailure } from './exit.ts'
import { createOutput } from './output.ts'
import { runProgram } from './program.ts'

/** Runs the command that the arguments name and returns its exit code. */
async function main(args: readonly string[]): Promise<number> {
  const json = args.includes('--json')
  const streams = { in: process.stdin, out: process.stdout, err: process.stderr }
  for (const stream of [streams.out, streams.err]) stream.on('error', () => {}) // the reader has gone: `| head -1`
  try {
    const config = readConfig(process.env)
    const output = createOutput({ ...streams, json, color: config.color })
    const credentials = openCredentials({ configDir: config.configDir, note: output.note })
    await runProgram({ config, credentials, output, streams }, args)
    return exitCodes.done
  } catch (error) {
    return reportFailure(error, { json, err: streams.err })
  }
}

process.exitCode = await main(process.argv.slice(2))
