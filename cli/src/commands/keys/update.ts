import { Command, InvalidArgumentError, Option } from 'commander'
import { KEY_SHAPE, type Key, keyPath } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { UsageError } from '../../exit.ts'
import { parseExpiry, parseList } from '../../parse.ts'
import { keyLines } from '../../show/key-lines.ts'
import { fieldsOf, type KeyOptions, withKeyOptions } from './key-options.ts'

interface Options extends KeyOptions {
  readonly name?: string
  readonly enable?: true
  readonly disable?: true
  readonly expiresIn?: number | 'never'
  readonly rateLimit?: boolean
  readonly clear?: readonly Clearable[]
}

/** What can be cleared, and the fields of the API that this is. */
const CLEARABLE = {
  permission: ['permissions'],
  'expires-in': ['expires_in'],
  metadata: ['metadata'],
  'allow-ip': ['allowed_ips'],
  'allow-subdomain': ['allowed_subdomains'],
  remaining: ['remaining'],
  refill: ['refill_amount', 'refill_interval'],
  'rate-limit': ['rate_limit_max', 'rate_limit_time_window'],
} as const

type Clearable = keyof typeof CLEARABLE

/** `instatunnel keys update` */
export const updateKey = (deps: Deps): Command =>
  withKeyOptions(
    new Command('update')
      .description('change an API key; what is not named stays as it is')
      .argument('<id>', 'its id, as `instatunnel keys list` shows it')
      .option('--name <name>', 'its name in lists')
      .addOption(new Option('--enable', 'let it work again').conflicts('disable'))
      .option('--disable', 'let it work no more, until it is enabled')
      .option(
        '--expires-in <time>',
        'when it ends, from now: seconds, or 15m, 12h, 30d; or never',
        parseExpiry,
      ),
  )
    .option('--rate-limit', 'its window and the limits of its owner hold it back again (needs admin:write)')
    .option('--no-rate-limit', 'nothing holds calls with it back (needs admin:write)')
    .option('--clear <field>', 'set back what is named; several times', parseClear)
    .addHelpText(
      'after',
      `
Lists are replaced. What can be cleared: ${Object.keys(CLEARABLE).join(', ')};
of these, permission goes back to all that its owner may, and rate-limit is its own window.

Examples:
  instatunnel keys update key_01h… --disable
  instatunnel keys update key_01h… --expires-in 30d -p tunnels:read -p tunnels:stats
  instatunnel keys update key_01h… --clear allow-ip,refill`,
    )
    .action(async (id: string, options: Options) => {
      const body = bodyOf(options)
      const key = await (await signedIn(deps)).call<Key>('PATCH', keyPath(id), { body, shape: KEY_SHAPE })
      deps.output.result(key, ['✅ API key changed', ...keyLines(key)])
    })

/** What changes; where something is cleared, the mask names all of it. */
function bodyOf({ name, enable, disable, expiresIn, rateLimit, clear = [], ...options }: Options): object {
  const given = Object.entries({
    ...{ name, enabled: enable ?? (disable ? false : undefined), ...fieldsOf(options) },
    expires_in: expiresIn === 'never' ? undefined : expiresIn,
    rate_limit_enabled: rateLimit,
  }).filter(([, value]) => value !== undefined)
  const set = given.map(([field]) => field)
  const cleared = new Set<string>(clear.flatMap((one) => CLEARABLE[one]))
  if (expiresIn === 'never') cleared.add('expires_in')
  const both = clear.find((one) => CLEARABLE[one].some((field) => set.includes(field)))
  if (both !== undefined) throw new UsageError(`'${both}' cannot be cleared and set at once`)
  if (set.length + cleared.size === 0) throw new UsageError('Name what is to change')
  const mask = cleared.size > 0 ? { update_mask: [...set, ...cleared].join(',') } : {}
  return { ...Object.fromEntries(given), ...mask }
}

function parseClear(text: string, before: readonly Clearable[] = []): readonly Clearable[] {
  const fields = parseList(text)
  if (!fields.every((field) => Object.hasOwn(CLEARABLE, field)))
    throw new InvalidArgumentError(`Allowed are ${Object.keys(CLEARABLE).join(', ')}.`)
  return [...before, ...(fields as Clearable[])]
}
