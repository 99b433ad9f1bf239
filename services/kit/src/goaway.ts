/** What an agent does once it has been sent away. */
export type AfterGoaway = 'reconnect' | 'end'

/** One reason to end a connection between relay and agent. */
export interface Goaway {
  /** For people: what happened, and where there is one, the way out. */
  readonly message: string
  readonly then: AfterGoaway
}

/** Every reason that relay and agent part for, as it stands in a goaway frame and in tunnel.disconnected. */
export const goaways = {
  // The relay's own.
  draining: { message: 'The relay is restarting', then: 'reconnect' },
  tunnel_changed: { message: 'The tunnel has another subdomain now', then: 'reconnect' },
  replaced: { message: 'The same agent has connected anew', then: 'end' },
  protocol_error: { message: 'The agent broke the protocol; a newer version may help', then: 'end' },
  stalled: { message: 'The agent took no more of what was sent', then: 'reconnect' },
  too_many_agents: { message: 'The tunnel has as many agents as it may have', then: 'end' },
  // The end of what admitted the connection.
  key_revoked: { message: 'The API key was revoked', then: 'end' },
  key_disabled: { message: 'The API key was disabled', then: 'end' },
  key_expired: { message: 'The API key has expired', then: 'end' },
  session_ended: { message: 'The session has ended; log in again', then: 'end' },
  session_expired: { message: 'The session has expired; log in again', then: 'end' },
  scope_lost: { message: 'The credential no longer has the scope tunnels:write', then: 'end' },
  token_regenerated: { message: "The tunnel's token was regenerated; connect with the new one", then: 'end' },
  tunnel_deleted: { message: 'The tunnel was deleted', then: 'end' },
  plan_limit: { message: "The account's plan does not allow this tunnel any more", then: 'end' },
  // The agent's own.
  leaving: { message: 'The agent was stopped', then: 'end' },
} as const satisfies Record<string, Goaway>

/** The name of a reason. */
export type GoawayReason = keyof typeof goaways

/** True for one of the reasons. */
export const isGoawayReason = (text: string): text is GoawayReason => Object.hasOwn(goaways, text)
