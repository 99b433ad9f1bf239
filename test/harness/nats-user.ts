import { inboxOf, type NatsUser } from '@instatunnel/local/nats-users'
import { type ConnectionOptions, nkeyAuthenticator } from '@nats-io/transport-node'

/** How a user of NATS connects: answers come in where no other user hears them. */
export const natsUser = (user: NatsUser, url: string, seed: string): ConnectionOptions => ({
  servers: url,
  authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
  inboxPrefix: inboxOf(user),
})
