import { Command } from 'commander'
import { requireShape } from '../../api.ts'
import { KEY_SHAPE, type KeyWithSecret, SECRET_SHAPE } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { parseDuration } from '../../parse.ts'
import { fields } from '../../shape.ts'
import { noteOnce } from '../../show/once.ts'
import { fieldsOf, type KeyOptions, withKeyOptions } from './key-options.ts'

interface Options extends KeyOptions {
  readonly expiresIn?: number
  readonly prefix?: string
  readonly user?: string
  /** False with --no-rate-limit. */
  readonly rateLimit: boolean
}

/** `instatunnel keys create` */
export const createKey = (deps: Deps): Command =>
  withKeyOptions(
    new Command('create')
      .description('make an API key; its secret is shown this once')
      .argument('<name>', 'its name in lists')
      .option(
        '--expires-in <time>',
        'when it ends: seconds, or 15m, 12h, 30d; never where left out',
        parseDuration,
      )
      .option('--prefix <prefix>', 'what its secret begins with, instead of it_'),
  )
    .option('--no-rate-limit', 'nothing holds calls with it back, your limits neither (needs admin:write)')
    .option('--user <id>', 'whose it is to be, instead of yours (needs admin:write)')
    .addHelpText(
      'after',
      `
It may do all that its owner may, from everywhere and with every tunnel, where nothing else is said.

Examples:
  instatunnel keys create "CI/CD Key" -p tunnels:read --expires-in 30d
  instatunnel keys create preview -p "tunnels:*" --allow-subdomain "preview-*" --allow-ip 203.0.113.0/24
  instatunnel keys create trial --remaining 1000 --refill-amount 1000 --refill-interval 30d`,
    )
    .action(async (name: string, { expiresIn, prefix, user, rateLimit, ...options }: Options) => {
      const api = await signedIn(deps)
      const body = {
        ...{ name, ...fieldsOf(options), expires_in: expiresIn, prefix, user_id: user },
        rate_limit_enabled: rateLimit ? undefined : false,
      }
      const answer = await api.call<KeyWithSecret>('POST', '/v1/auth/keys', { body, shape: SECRET_SHAPE })
      deps.output.result(answer, ['✅ API key created', `🔑 API Key: ${answer.key}`])
      requireShape(api.url, answer, fields({ api_key: KEY_SHAPE }))
      deps.output.more([`🆔 ID: ${answer.api_key.id}`])
      noteOnce(deps.output)
    })
