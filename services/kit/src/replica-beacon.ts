import { z } from 'zod'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { followPulse } from './pulse.ts'

const BEACON_MS = 500

/** Where the replicas of a service say that they live. */
export const hereOf = (service: string) => `instatunnel.${service}.here`

/** Where all of them are asked to say so at once. */
export const rollOf = (service: string) => `instatunnel.${service}.roll`

/** The name of a replica: no two processes ever have the same. It may be a part of a subject. */
export const replicaField = z.string().regex(/^[\w-]{1,100}$/)

/** What a replica says of itself. */
export const beacon = z.object({ replica: replicaField, leaving: z.literal(true).optional() })

/** Says every half second that a replica lives, and at once where that is asked; and when it is closed, that it leaves. */
export function announceReplica(options: { nats: Nats; log: Logger; service: string; replica: string }): {
  close(): Promise<void>
} {
  const { nats, log, service, replica } = options
  let closed = false
  let stop = async () => {}
  nats.ready.then(
    ({ connection }) => {
      if (closed) return
      let isThere = false
      const say = (leaving?: true) => {
        if (isThere && !connection.isClosed())
          connection.publish(hereOf(service), JSON.stringify({ replica, leaving }))
      }
      const pulse = followPulse(connection, (is) => {
        isThere = is
        say()
      })
      const asked = connection.subscribe(rollOf(service), {
        callback(error) {
          if (error) log.warn({ cause: String(error) }, 'this replica cannot be asked whether it lives')
          else say()
        },
      })
      const timer = setInterval(say, BEACON_MS)
      stop = async () => {
        clearInterval(timer)
        asked.unsubscribe()
        say(true)
        const isGone = isThere && connection.flush().catch(() => {})
        pulse.stop()
        await Promise.race([isGone, new Promise((resolve) => setTimeout(resolve, BEACON_MS))])
      }
    },
    () => {},
  )
  return {
    close() {
      closed = true
      return stop()
    },
  }
}
