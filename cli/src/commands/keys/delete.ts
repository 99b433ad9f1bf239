import type { DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { Command } from 'commander'
import type { Api } from '../../api.ts'
import { openAsk } from '../../ask.ts'
import type { Json } from '../../calls/json.ts'
import { KEY_SHAPE, type Key, keyPath } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { Refused } from '../../exit.ts'
import { isOpen, RECEIPT_SHAPE, receiptOf, tokenLines } from '../../show/receipt.ts'
import { relative } from '../../show/relative.ts'

/** What the API never restores a key after, however it is written. */
const LEAKED = 'leaked'
const isLeaked = (reason: string | undefined) => reason?.trim().toLowerCase() === LEAKED

interface Options {
  readonly reason?: string
  readonly regenerate?: true
  readonly yes?: true
}

/** `instatunnel keys delete` */
export const deleteKey = (deps: Deps): Command =>
  new Command('delete')
    .description('revoke an API key; tunnels that it connected are cut off')
    .argument('<id>', 'its id, as `instatunnel keys list` shows it')
    .option('--reason <reason>', `why, for the record; "${LEAKED}" lets nobody restore it`)
    .option(
      '--regenerate',
      `with "--reason ${LEAKED}": give the tunnels whose tokens it may have read new ones`,
    )
    .option('-y, --yes', 'do not ask first; without a terminal, and with --json, it never does')
    .addHelpText(
      'after',
      `
It answers once every replica refuses the key, or after a second. \`instatunnel keys restore\` undoes it within 24 hours.

Example:
  instatunnel keys delete key_01h… --reason ${LEAKED} --regenerate`,
    )
    .action(async (id: string, { reason, regenerate, yes }: Options) => {
      const { output, streams } = deps
      const api = await signedIn(deps)
      if (!yes && !output.json && streams.in.isTTY && streams.err.isTTY) await confirm(deps, api, id)
      const answer = await api.call<Json<DeleteKeyResponse>>('DELETE', keyPath(id), {
        query: { reason, regenerate: regenerate && 'true' },
        shape: RECEIPT_SHAPE,
      })
      output.result(answer, [`✅ API key revoked: ${receiptOf(answer)}`])
      for (const line of tokenLines(answer)) output.note(line)
      if (isOpen(answer)) output.note('Where no answer came from, it is refused within 5 s')
      if (!isLeaked(reason)) output.note(`Within 24 hours this undoes it: instatunnel keys restore ${id}`)
    })

/** Asks by the key's name, for ids are easily mistaken. Refuses where the answer is no. */
async function confirm({ streams }: Deps, api: Api, id: string): Promise<void> {
  const { name, start, last_used } = await api.call<Key>('GET', keyPath(id), { shape: KEY_SHAPE })
  const used = last_used === undefined ? 'never used' : `last used ${relative(last_used)}`
  const ask = await openAsk(streams, 'give --yes')
  if (!(await ask.confirm(`Revoke the API key "${name}" (${start}…, ${used})?`)))
    throw new Refused('cancelled', 'Cancelled')
}
