/** What an agent does once it has been sent away. */
export type AfterGoaway = 'reconnect' | 'end'

/** One reason to end a connection between relay and agent. */
export interface Goaway {
  /** For people: what happened, and where there is one, the way out. */
  readonly message: string
  readonly after: AfterGoaway
}

/** Every reason that relay and agent part for, as it stands in a goaway frame and in tunnel.disconnected. */
export const goaways = {
  // The relay's own.
  draining: { message: 'The relay is restarting', after: 'reconnect' },
  tunnel_changed: { message: 'The tunnel has another subdomain now', after: 'reconnect' },
  replaced: { message: 'The same agent has connected anew', after: 'end' },
  protocol_error: { message: 'The agent broke the protocol; a newer version may help', after: 'end' },
  stalled: { message: 'The agent took no more of what was sent', after: 'reconnect' },
  too_many_agents: { message: 'The tunnel has as many agents as it may have', after: 'end' },
  // The end of what admitted the connection.
  key_revoked: { message: 'The API key was revoked', after: 'end' },
  key_disabled: { message: 'The API key was disabled', after: 'end' },
  key_expired: { message: 'The API key has expired', after: 'end' },
  key_rotated: { message: 'The key that this agent connected with has another secret now', after: 'end' },
  session_ended: { message: 'The session has ended; log in again', after: 'end' },
  session_expired: { message: 'The session has expired; log in again', after: 'end' },
  account_suspended: { message: 'The account is suspended; ask an administrator', after: 'end' },
  scope_lost: { message: 'The credential no longer has the scope tunnels:write', after: 'end' },
  subdomain_not_allowed: { message: "The API key is not for this tunnel's subdomain any more", after: 'end' },
  address_not_allowed: { message: 'The API key may not be used from this address any more', after: 'end' },
  token_regenerated: {
    message: "The tunnel's token was regenerated; connect with the new one",
    after: 'end',
  },
  tunnel_deleted: { message: 'The tunnel was deleted', after: 'end' },
  plan_limit: { message: "The account's plan does not allow this tunnel any more", after: 'end' },
  // The agent's own.
  leaving: { message: 'The agent was stopped', after: 'end' },
} as const satisfies Record<string, Goaway>

/** The name of a reason. */
export type GoawayReason = keyof typeof goaways

/** True for one of the reasons. */
export const isGoawayReason = (text: string): text is GoawayReason => Object.hasOwn(goaways, text)
