import type { Msg } from '@nats-io/transport-node'

/**
 * Whether a message was said on a subject, by one who may. Whoever may read a stream can have it deliver anywhere, past
 * what NATS allows him to publish; but such a message has its own subject still, or headers, which services do not use
 * when they talk to one another.
 */
export const isSpoken = (message: Pick<Msg, 'subject' | 'headers'>, subject: string): boolean =>
  message.subject === subject && message.headers === undefined
