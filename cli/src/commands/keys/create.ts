import type { CreateKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { Command } from 'commander'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { parseDuration, parseList } from '../../parse.ts'

interface Options {
  permissions?: string[]
  expiresIn?: number
  prefix?: string
}

/** `instatunnel keys create` */
export const createKey = (deps: Deps): Command =>
  new Command('create')
    .description('make an API key; its secret is shown this once')
    .argument('<name>', 'its name in lists')
    .option(
      '-p, --permissions <list>',
      'what it may do, e.g. tunnels:read,analytics:*; all of yours where left out',
      parseList,
    )
    .option(
      '--expires-in <time>',
      'when it ends: seconds, or 15m, 12h, 30d; never where left out',
      parseDuration,
    )
    .option('--prefix <prefix>', 'what its secret begins with, instead of it_')
    .addHelpText(
      'after',
      `
Example:
  instatunnel keys create "CI/CD Key" -p tunnels:read --expires-in 30d`,
    )
    .action(async (name: string, { permissions, expiresIn, prefix }: Options) => {
      const api = await signedIn(deps)
      const body = { name, permissions, expires_in: expiresIn, prefix }
      const answer: Json<CreateKeyResponse> = await api.call('POST', '/v1/auth/keys', { body })
      deps.output.result(answer, [
        '✅ API key created',
        `🔑 API Key: ${answer.key}`,
        `🆔 ID: ${answer.api_key.id}`,
      ])
      deps.output.note('It is not shown again')
    })
