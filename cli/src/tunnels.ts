import type {
  ListTunnelsResponse,
  Tunnel as TunnelMessage,
} from '@instatunnel/proto/tunnels/v1/tunnel_service'
import type { Api } from './api.ts'
import type { Json } from './json.ts'

/** A tunnel as the API shows it. */
export type Tunnel = Json<TunnelMessage>

/** Every tunnel of the account, newest first, page by page. */
export async function listAllTunnels(api: Api): Promise<Tunnel[]> {
  const all: Tunnel[] = []
  for (let page_token: string | undefined; page_token !== ''; ) {
    const query = { page_size: 200, page_token }
    const answer: Json<ListTunnelsResponse> = await api.call('GET', '/v1/tunnels', { query })
    all.push(...answer.tunnels)
    page_token = answer.next_page_token
  }
  return all
}
