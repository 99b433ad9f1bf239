import type { GoawayReason } from '@instatunnel/kit/goaway'
import { TUNNEL_ID } from './tunnel.ts'

/** What an agent may connect with, and what the id of it begins with; a token's id is its tunnel's. */
export const CREDENTIALS = { api_key: 'key_', session: 'ses_', tunnel_token: TUNNEL_ID } as const

/** Which live connections to cut off, and what their agents are told. */
export interface Cut {
  readonly credentialType: keyof typeof CREDENTIALS
  readonly credentialId: string
  readonly reason: GoawayReason
  /** Of a token: only those that were admitted with an older one. */
  readonly tokenGeneration?: number
}

/** Has live connections cut off; tells how many there were, 0 where nobody can say. */
export type CutConnections = (cut: Cut) => Promise<number>
