import type { DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { Command } from 'commander'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { connectionsCut } from '../../show/connections-cut.ts'

/** `instatunnel keys delete` */
export const deleteKey = (deps: Deps): Command =>
  new Command('delete')
    .description('revoke an API key for ever; tunnels that it connected are cut off')
    .argument('<id>', 'its id, as `instatunnel keys list` shows it')
    .option('--reason <reason>', 'why, for the record')
    .action(async (id: string, { reason }: { reason?: string }) => {
      const api = await signedIn(deps)
      const path = `/v1/auth/keys/${encodeURIComponent(id)}`
      const answer: Json<DeleteKeyResponse> = await api.call('DELETE', path, { query: { reason } })
      deps.output.result(answer, ['✅ API key revoked', ...connectionsCut(answer.connections_cut)])
    })
