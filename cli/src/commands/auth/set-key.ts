import { Command } from 'commander'
import { createApi } from '../../api.ts'
import { noteEnvironmentKey } from '../../calls/log-in.ts'
import { whoAmI } from '../../calls/who-am-i.ts'
import { isCredential } from '../../config.ts'
import type { Deps } from '../../deps.ts'
import { ApiError, exitCodes, failureOf, Refused, UsageError } from '../../exit.ts'
import { masked } from '../../show/masked.ts'
import { readSecret } from '../../stdin.ts'

/** `instatunnel auth set-key` */
export const authSetKey = (deps: Deps): Command =>
  new Command('set-key')
    .description('keep an API key that you already have')
    .argument('<key>', 'the key, or - to read it from standard input')
    .addHelpText(
      'after',
      `
Prefer standard input: what stands on a command line is seen by others on the machine and kept by the shell.

Examples:
  instatunnel auth set-key - < key.txt
  pass show instatunnel | instatunnel auth set-key -`,
    )
    .action(async (argument: string) => {
      const key = argument === '-' ? (await readSecret(deps.streams, 'key')).trim() : argument
      if (!isCredential(key)) throw new UsageError('This is no API key')
      const expires_at = await expiryOf(deps, key)
      const { config, credentials, output } = deps
      await credentials.keep(config.api, { api_key: key, ...(expires_at && { expires_at }) })
      output.result({ key: masked(key), expires_at }, ['✅ API key saved', `🔑 API Key: ${masked(key)}`])
      noteEnvironmentKey(deps)
    })

/** When the key ends. Refuses a key that the API does, so that a typing error never replaces a key that works. */
async function expiryOf({ config, output }: Deps, key: string): Promise<string | undefined> {
  try {
    const { credential } = await whoAmI(createApi({ url: config.api, credential: key }))
    return credential.expires_at
  } catch (error) {
    if (error instanceof ApiError && error.status === 401)
      throw new Refused('unauthorized', `${config.api} does not accept this key; it was not saved`)
    const { exitCode, line } = failureOf(error)
    if (exitCode !== exitCodes.notReachable) throw error
    output.note(`Not checked: ${line}`)
    return undefined
  }
}
