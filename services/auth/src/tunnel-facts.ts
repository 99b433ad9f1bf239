import { isId } from '@instatunnel/kit/id'
import { type CredentialsOptions, undefinedWhereNotFound } from './credentials.ts'
import type { TunnelFacts } from './domain/connect-verdict.ts'

/** Finds a tunnel by what stands where its id is expected; undefined where there is none. */
export type FindTunnel = (tunnelId: string, signal?: AbortSignal) => Promise<TunnelFacts | undefined>

/** Asks tunnels about ids that can be one's. */
export const createTunnelFinder =
  ({ tunnels }: Pick<CredentialsOptions, 'tunnels'>): FindTunnel =>
  async (tunnelId, signal) =>
    isId(tunnelId, 'tun_')
      ? tunnels.lookUpTunnel({ tunnelId }, { signal }).catch(undefinedWhereNotFound)
      : undefined
