import { hearStream } from '@instatunnel/kit/hearing'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { z } from 'zod'

const LOGGED_IN = 'instatunnel.events.user.logged_in'
// A replica that starts hears of those who logged in lately.
const SINCE_MS = 60 * 60 * 1000

const loggedIn = z.object({ user_id: z.string(), address: z.string().default('') })

/** Hears of each login, through whichever replica, and of those of the last hour; `address` is empty where it is not known. */
export function onLogin(options: {
  nats: Nats
  log: Logger
  now: () => Date
  note: (userId: string, address: string) => void
}): { close(): void } {
  const { nats, log, now, note } = options
  return hearStream({
    nats,
    log,
    stream: 'INSTATUNNEL',
    async begin() {
      await nats.ensureStreams()
      return { subjects: [LOGGED_IN], since: () => new Date(now().getTime() - SINCE_MS) }
    },
    message(message) {
      const { user_id, address } = loggedIn.parse(message.json())
      note(user_id, address)
    },
  })
}
