import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Duplex } from 'node:stream'
import {
  AGENT_HEADER,
  CONNECT_UPGRADE,
  CONNECTION_HEADER,
  type ConnectMode,
  connectPath,
  GENERATION_HEADER,
  URL_HEADER,
} from '@instatunnel/kit/connect-request'
import { causeOf, jsonOf, refusalOf, textOf } from '../api.ts'
import { ApiError, NotReachable } from '../exit.ts'

/** Longer than any of those in between takes to say that it will not do. */
const CONNECT_MS = 15_000
const MAX_ANSWER_BYTES = 64 * 1024
/** What is wrong with the request, the credential, the account or the tunnel does not pass by itself. */
const FINAL = [400, 401, 403, 404]

/** Which tunnel is connected where, with what. */
export interface ConnectOptions {
  /** The API's base URL. */
  readonly api: string
  readonly credential: string
  readonly tunnelId: string
  readonly mode: ConnectMode
  /** This agent's name for itself, random. */
  readonly agent: string
  /** Which of its connections this is, from 1 on. */
  readonly generation: number
  readonly signal: AbortSignal
}

const TUNNEL_TOKEN = 'itt_'
const TOKEN_UNKNOWN =
  "The tunnel's token is not valid, or not any more: it may have been regenerated; connect with the new one"

/** A connection to a relay. */
export interface Connected {
  readonly socket: Duplex
  /** What came together with the answer. */
  readonly early: Buffer
  readonly connectionId: string
  /** Where the tunnel is reachable. */
  readonly url: string
}

/** There is no connection; `cause` says why. */
export class ConnectFailure extends Error {
  override readonly cause: ApiError | NotReachable
  /** How long to wait at least before asking again. */
  readonly retryAfterMs: number

  constructor(cause: ApiError | NotReachable, retryAfterSeconds = 0) {
    super(cause.message)
    this.cause = cause
    this.retryAfterMs = Math.min(Math.max(retryAfterSeconds, 0) || 0, 3600) * 1000
  }

  /** The credential was not accepted. */
  get isUnauthorized(): boolean {
    return this.cause instanceof ApiError && this.cause.status === 401
  }

  /** Asking again would be answered the same. */
  get isFinal(): boolean {
    return this.cause instanceof ApiError && FINAL.includes(this.cause.status)
  }
}

/** Asks the API to connect a tunnel. Throws ConnectFailure. */
export function connect(options: ConnectOptions): Promise<Connected> {
  const { api, credential, tunnelId, mode, agent, generation, signal } = options
  const target = new URL(connectPath(tunnelId, { mode }), api)
  const { promise, resolve, reject } = Promise.withResolvers<Connected>()
  const request = (target.protocol === 'https:' ? requestHttps : requestHttp)(target, {
    agent: false,
    headers: {
      authorization: `Bearer ${credential}`,
      connection: 'Upgrade',
      upgrade: CONNECT_UPGRADE,
      [AGENT_HEADER]: agent,
      [GENERATION_HEADER]: String(generation),
      'user-agent': 'instatunnel-cli',
    },
  })
  const away = (error: unknown) =>
    reject(new ConnectFailure(new NotReachable(`${api} does not answer: ${causeOf(error)}`)))
  const stop = () => request.destroy(new Error('stopped'))
  const timer = setTimeout(() => request.destroy(new Error('timeout')), CONNECT_MS)
  signal.addEventListener('abort', stop)
  request.on('upgrade', ({ headers }, socket, early) => {
    socket.setNoDelay(true)
    const text = (name: string) => String(headers[name] ?? '')
    resolve({ socket, early, connectionId: text(CONNECTION_HEADER), url: text(URL_HEADER) })
  })
  request.on('response', (response) => {
    failureOf(api, credential, response).then(reject, away)
  })
  request.on('error', away)
  request.end()
  if (signal.aborted) stop()
  return promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  })
}

async function failureOf(
  api: string,
  credential: string,
  response: IncomingMessage,
): Promise<ConnectFailure> {
  const body = jsonOf((await textOf(response, MAX_ANSWER_BYTES)) ?? '')
  const told = refusalOf(api, response.statusCode ?? 0, body)
  const isToken = credential.startsWith(TUNNEL_TOKEN) && told instanceof ApiError && told.status === 401
  // The API tells nobody what kind of credential it does not know; who has a tunnel's token need not look for a key.
  const refusal = isToken ? new ApiError(told.status, { ...told.answer, message: TOKEN_UNKNOWN }) : told
  return new ConnectFailure(refusal, Number(response.headers['retry-after']))
}
