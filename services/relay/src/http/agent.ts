import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { CONNECT_UPGRADE, CONNECTION_HEADER, URL_HEADER } from '@instatunnel/kit/connect-request'
import { Link } from '@instatunnel/kit/link'
import type { Logger } from '@instatunnel/kit/log'
import { internalRefusal, refusalFrom, restErrorOf, rowOf } from '@instatunnel/kit/status'
import type { Admit } from '../admission.ts'
import type { Admitted, Connection, Connections } from '../connections.ts'
import { type SiteAddress, siteUrl } from '../domain/site.ts'
import { refusals } from '../refusals.ts'

/** An agent that asks to be connected. */
export interface ArrivingAgent {
  readonly request: IncomingMessage
  readonly socket: Duplex
  /** What came together with the request. */
  readonly early: Buffer
  /** Makes the answer to an agent that is not admitted. */
  respond(): ServerResponse
}

/** Takes agents: admits each, answers it, and puts its connection into service. */
export const takeAgents =
  (options: { admit: Admit; connections: Connections; address: SiteAddress; log: Logger; now: () => Date }) =>
  async (agent: ArrivingAgent): Promise<void> => {
    try {
      await options.admit(agent.request, (admitted) => connect(agent, admitted, options))
    } catch (error) {
      refuse(agent, error, options.log)
    }
  }

function connect(
  { socket, early }: ArrivingAgent,
  admitted: Admitted,
  { connections, address, log, now }: Parameters<typeof takeAgents>[0],
): void {
  const { connectionId, tunnelId, subdomain } = admitted
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'connection: upgrade',
      `upgrade: ${CONNECT_UPGRADE}`,
      `${CONNECTION_HEADER}: ${connectionId}`,
      `${URL_HEADER}: ${siteUrl(subdomain, address)}`,
      '\r\n',
    ].join('\r\n'),
  )
  const link = new Link(socket, {
    // It opens no streams: with one it would break the protocol.
    onGoaway: () => connections.retire((each) => each === connection, 'leaving'),
    onEnd: (end) => connections.lost(connection, end),
    onFault: (error) => log.error({ err: error, connectionId, tunnelId }, 'a fault on the link of an agent'),
  })
  const connection: Connection = connections.add({ ...admitted, link, since: now() })
  link.begin(early)
}

function refuse(agent: ArrivingAgent, error: unknown, log: Logger): void {
  const known = refusalFrom(error)
  if (!known) log.error({ err: error }, 'an agent could not be admitted')
  const refusal = known ?? internalRefusal()
  const { status, headers, body } = restErrorOf(refusal, rowOf(refusal, refusals).error)
  agent
    .respond()
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      ...headers,
    })
    .end(body)
}
