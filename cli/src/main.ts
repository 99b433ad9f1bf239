import { readConfig } from './config.ts'
import { openCredentials } from './credentials.ts'
import { exitCodes, reportFailure } from './exit.ts'
import { createOutput } from './output.ts'
import { runProgram } from './program.ts'

/** Runs the command that the arguments name and returns its exit code. */
async function main(args: readonly string[]): Promise<number> {
  const json = args.includes('--json')
  const { stdout: out, stderr: err } = process
  try {
    const config = readConfig(process.env)
    const output = createOutput({ out, err, json, color: config.color })
    const credentials = openCredentials({ configDir: config.configDir, note: output.note })
    await runProgram({ config, output, credentials }, args)
    return exitCodes.done
  } catch (error) {
    return reportFailure(error, { json, err })
  }
}

process.exitCode = await main(process.argv.slice(2))
