import type { DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import type { Json } from '../calls/json.ts'
import { fields, flag, list, number, optional, type Shape, text } from '../shape.ts'
import { duration } from './duration.ts'

/** What the command reads of the tunnels of a key that leaked; an API that is older than the command says nothing of these. */
export const LEAKED_TOKENS = {
  ...{ tunnels: optional(list(fields({ id: text, name: text }))), tunnels_known: optional(flag) },
  ...{ tokens_regenerated: optional(flag), tokens_regenerated_before: optional(flag) },
}

/** What the command reads of a receipt. */
export const RECEIPT_SHAPE: Shape = fields({
  replicas_acked: number,
  replicas_total: number,
  connections_cut: number,
  took_ms: number,
  ...LEAKED_TOKENS,
})

/** What became of a key that was revoked: "2 of 2 replicas refuse it, 1 connection cut, 14 ms". */
export function receiptOf(receipt: Json<DeleteKeyResponse>): string {
  const { replicas_acked: acked, replicas_total: total, connections_cut: cut, took_ms } = receipt
  const replicas = total === 1 ? 'replica refuses' : 'replicas refuse'
  return `${acked} of ${total} ${replicas} it, ${cut} connection${cut === 1 ? '' : 's'} cut, ${duration(took_ms)}`
}

/** True where the receipt leaves it open whether every replica refuses the key already. */
export const isOpen = ({ replicas_acked, replicas_total }: Json<DeleteKeyResponse>) =>
  replicas_acked < replicas_total || replicas_total === 0

type LeakedTokens = Pick<
  Partial<Json<DeleteKeyResponse>>,
  'tunnels' | 'tunnels_known' | 'tokens_regenerated' | 'tokens_regenerated_before'
>

/** What became of the tunnels whose tokens keys that leaked may have read; nothing for any other key. */
export function tokenLines({
  tunnels = [],
  tunnels_known,
  tokens_regenerated,
  tokens_regenerated_before,
}: LeakedTokens): string[] {
  if (tunnels_known === undefined) return []
  if (tokens_regenerated === false)
    return ['No token was regenerated: tunnels did not answer. The rest is done; run the same command again']
  if (tokens_regenerated_before)
    return ['The tokens that leaked were regenerated before: nothing more was to be done']
  if (!tunnels_known && !tokens_regenerated)
    return ['Which tokens may have leaked as well is not known; add --regenerate']
  if (tunnels.length === 0) return []
  const named = tunnels.map(({ id, name }) => `${name} (${id})`).join(', ')
  return tokens_regenerated
    ? [`These tunnels have new tokens, and agents with the old ones are cut off: ${named}`]
    : [`The tokens of ${named} may have leaked as well; add --regenerate to give them new ones`]
}
