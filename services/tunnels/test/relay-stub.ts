import { randomBytes } from 'node:crypto'
import { newId } from '@instatunnel/kit/id'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { announceRoutes } from '@instatunnel/kit/route-announcer'
import type { Tunnel } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { headers } from '@nats-io/transport-node'

/** A stand-in for a relay, which these tests do not run: it tells of agents and answers cuts, and carries nothing. */
export interface RelayStub {
  readonly id: string
  /** Announces an agent of the tunnel; `leave` withdraws it. */
  connect(tunnel: Pick<Tunnel, 'id' | 'userId' | 'subdomain'>): Promise<{ leave(): Promise<void> }>
  /** Tells an event; it is known by its id, a delivery of it by another, where that is said. */
  tell(type: string, data: unknown, told?: { id?: string; delivery?: string; time?: string }): Promise<void>
  /** What is told of such events from now on. */
  hear(type: string): readonly unknown[]
  /** Answers each cut with what `answer` says, undefined being no answer; tells what was asked. */
  onCut(answer: (cut: unknown) => unknown): readonly unknown[]
  /** Answers each rename; tells what was asked. */
  onRenamed(): readonly unknown[]
  /** Resolves when NATS has taken in whatever was asked of it. */
  flush(): Promise<void>
  close(): Promise<void>
}

/** Starts one at a NATS that lets it; it announces itself, but where that is said otherwise. */
export async function startRelayStub(url: string, { announces = true } = {}): Promise<RelayStub> {
  const log = createLog('relay', 'silent')
  const now = () => new Date()
  const nats = connectNats({ url, name: 'relay', log })
  const { connection, js } = await nats.ready
  const id = `relay-${randomBytes(4).toString('hex')}`
  const announcer = announces
    ? announceRoutes({ nats, log, now, relayId: id, peerAddress: '127.0.0.1:1' })
    : undefined
  const answering = (subject: string, answer: (request: unknown) => unknown) => {
    const asked: unknown[] = []
    connection.subscribe(subject, {
      callback: (_, message) => {
        const request = message.json()
        asked.push(request)
        const said = answer(request)
        if (said !== undefined) message.respond(typeof said === 'string' ? said : JSON.stringify(said))
      },
    })
    return asked
  }
  return {
    id,
    async connect({ id: tunnelId, userId, subdomain }) {
      const route = {
        ...{ tunnelId, userId, subdomain, relayId: id, generation: 1 },
        connectionId: newId('conn_', now()),
        agent: randomBytes(8).toString('hex'),
        credential: { type: 'tunnel_token', id: tunnelId } as const,
      }
      await announcer?.announce(route)
      return { leave: async () => announcer?.withdraw(route) }
    },
    async tell(type, data, { id: event = newId('evt_', now()), delivery = event, time } = {}) {
      const head = headers()
      head.set('ce-id', event)
      head.set('ce-time', time ?? now().toISOString())
      await js.publish(`instatunnel.events.${type}`, JSON.stringify(data), { msgID: delivery, headers: head })
    },
    hear(type) {
      const heard: unknown[] = []
      connection.subscribe(`instatunnel.events.${type}`, {
        callback: (_, message) => {
          heard.push(message.json())
        },
      })
      return heard
    },
    onRenamed: () => answering('instatunnel.relay.renamed', () => ({ relayId: id })),
    onCut: (answer) => answering('instatunnel.relay.cut', answer),
    flush: () => connection.flush(),
    async close() {
      await announcer?.close()
      await nats.close()
    },
  }
}
