import { Command, Option } from 'commander'
import { requireShape } from '../../api.ts'
import { KEY_SHAPE, type Key, type KeyWithSecret, keyPath, SECRET_SHAPE } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { parseGrace } from '../../parse.ts'
import { fields } from '../../shape.ts'
import { dateOf } from '../../show/date.ts'
import { noteOnce } from '../../show/once.ts'
import { relative } from '../../show/relative.ts'

interface Options {
  readonly gracePeriod?: number
  readonly endGracePeriod?: true
}

/** `instatunnel keys rotate` */
export const rotateKey = (deps: Deps): Command =>
  new Command('rotate')
    .description('give an API key another secret, which is shown this once')
    .argument('<id>', 'its id, as `instatunnel keys list` shows it')
    .option(
      '--grace-period <time>',
      'how long the old secret still works: seconds, or 15m, 12h, 30d; not at all where left out',
      parseGrace,
    )
    .addOption(
      new Option('--end-grace-period', 'no new secret: the old one of the last rotation ends now').conflicts(
        'gracePeriod',
      ),
    )
    .addHelpText(
      'after',
      `
Examples:
  instatunnel keys rotate key_01h… --grace-period 1h
  instatunnel keys rotate key_01h… --end-grace-period`,
    )
    .action((id: string, { gracePeriod, endGracePeriod }: Options) =>
      endGracePeriod ? endGrace(deps, id) : rotate(deps, id, gracePeriod),
    )

async function rotate(deps: Deps, id: string, gracePeriod: number | undefined): Promise<void> {
  const api = await signedIn(deps)
  const body = { grace_period: gracePeriod }
  const answer = await api.call<KeyWithSecret>('POST', `${keyPath(id)}/rotate`, { body, shape: SECRET_SHAPE })
  deps.output.result(answer, ['✅ API key rotated', `🔑 API Key: ${answer.key}`])
  requireShape(api.url, answer, fields({ api_key: KEY_SHAPE }))
  const ends = answer.api_key.old_secret?.ends_at
  deps.output.more([
    ends === undefined
      ? '⏳ The old secret works no more'
      : `⏳ The old secret works until ${dateOf(ends)} (${relative(ends)})`,
  ])
  noteOnce(deps.output)
}

async function endGrace(deps: Deps, id: string): Promise<void> {
  const key = await (await signedIn(deps)).call<Key>('DELETE', `${keyPath(id)}/rotate`, { shape: KEY_SHAPE })
  deps.output.result(key, ['✅ The old secret works no more'])
}
