import type { DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import type { Json } from '../calls/json.ts'
import { fields, number, type Shape } from '../shape.ts'
import { duration } from './duration.ts'

/** What the command reads of it. */
export const RECEIPT_SHAPE: Shape = fields({
  replicas_acked: number,
  replicas_total: number,
  connections_cut: number,
  took_ms: number,
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
