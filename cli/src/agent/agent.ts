import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ConnectMode } from '@instatunnel/kit/connect-request'
import { type GoawayReason, goaways, isGoawayReason } from '@instatunnel/kit/goaway'
import type { ApiError } from '../exit.ts'
import { createBackoff } from './backoff.ts'
import { ConnectFailure, connect } from './connect.ts'
import { LocalServer } from './local-server.ts'
import { openSession, type Parting, type Session } from './session.ts'
import type { Visit } from './visit.ts'

/** After the relay has sent an agent elsewhere, what is in flight has so long to finish. */
const MOVED_MS = 30_000
/** After the agent itself was told to stop. */
const STOPPED_MS = 10_000
/** A 401 may come of a clock that is wrong for a moment: only where the same question gets it again is it final. */
const SECOND_QUESTION_MS = 30_000
/** How long a relay may take to hear that no more requests are wanted. */
const FAREWELL_MS = 2000

/** What an agent connects. */
export interface AgentOptions {
  /** The API's base URL. */
  readonly api: string
  readonly credential: string
  readonly tunnelId: string
  readonly mode?: ConnectMode
  /** Of the local server, on 127.0.0.1 or ::1. */
  readonly port: number
  /** What the local server is told for a Host; left out, what the visitor said. */
  readonly host?: string | undefined
  /** How long after a 401 the same question is put once more; 30 s where left out. */
  readonly secondQuestionMs?: number
  /** Aborted, the agent leaves: what is in flight finishes first. */
  readonly signal: AbortSignal
  readonly on: (event: AgentEvent) => void
}

/** What happens to an agent. */
export type AgentEvent =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected'; readonly url: string; readonly connectionId: string }
  | { readonly kind: 'latency'; readonly ms: number }
  | ({ readonly kind: 'request' } & Visit)
  /** Something of the agent's own went wrong with one request, which was given up. */
  | { readonly kind: 'fault'; readonly error: unknown }
  /** There is no connection, or soon none any more; another try follows. */
  | { readonly kind: 'retrying'; readonly why: string; readonly inMs: number }

/** Why an agent ended. */
export type AgentEnd =
  | { readonly kind: 'stopped' }
  /** The API lets it connect no more. */
  | { readonly kind: 'refused'; readonly error: ApiError }
  /** The relay sent it away for good. */
  | { readonly kind: 'sent_away'; readonly reason: GoawayReason; readonly message: string }

/** Carries a tunnel's traffic to the local server until it is stopped, or must not any more. */
export async function runAgent(options: AgentOptions): Promise<AgentEnd> {
  const local = new LocalServer(options.port)
  try {
    return await new Agent(options, local).run()
  } finally {
    local.close()
  }
}

class Agent {
  readonly #options: AgentOptions
  readonly #local: LocalServer
  readonly #name = randomBytes(16).toString('base64url')
  readonly #backoff = createBackoff()
  /** Connections that get no more requests, while they finish. */
  readonly #finishing = new Set<Session>()
  #generation = 0
  /** True after a 401, until a question is answered otherwise. */
  #doubted = false

  constructor(options: AgentOptions, local: LocalServer) {
    this.#options = options
    this.#local = local
  }

  async run(): Promise<AgentEnd> {
    try {
      while (!this.#options.signal.aborted) {
        const session = await this.#connect()
        if (session === undefined) continue
        const end = 'kind' in session ? session : await this.#stay(session)
        if (end) return end
      }
      await this.#finish()
      return { kind: 'stopped' }
    } finally {
      for (const session of this.#finishing) session.destroy()
    }
  }

  /** A connection, or none but another try, or the end. */
  async #connect(): Promise<Session | AgentEnd | undefined> {
    const { on, signal } = this.#options
    on({ kind: 'connecting' })
    try {
      const connected = await connect({
        ...this.#options,
        mode: this.#options.mode ?? '',
        agent: this.#name,
        generation: ++this.#generation,
      })
      this.#doubted = false
      on({ kind: 'connected', url: connected.url, connectionId: connected.connectionId })
      return openSession({
        ...connected,
        local: this.#local,
        host: this.#options.host,
        report: (visit) => on({ kind: 'request', ...visit }),
        onLatency: (ms) => on({ kind: 'latency', ms }),
        onFault: (error) => on({ kind: 'fault', error }),
      })
    } catch (error) {
      if (signal.aborted) return undefined
      if (!(error instanceof ConnectFailure)) throw error
      const isFirst401 = error.isUnauthorized && !this.#doubted
      this.#doubted = error.isUnauthorized
      if (error.isFinal && !isFirst401) return { kind: 'refused', error: error.cause as ApiError }
      const { secondQuestionMs = SECOND_QUESTION_MS } = this.#options
      await this.#wait(error.message, isFirst401 ? secondQuestionMs : this.#backoff.next(error.retryAfterMs))
      return undefined
    }
  }

  /** Serves a connection until it is over, or the next one is to be made. */
  async #stay(session: Session): Promise<AgentEnd | undefined> {
    const { signal } = this.#options
    const since = performance.now()
    const stop = Promise.withResolvers<'stop'>()
    const onAbort = () => stop.resolve('stop')
    signal.addEventListener('abort', onAbort)
    const parting = signal.aborted ? 'stop' : await Promise.race([session.parted, stop.promise])
    signal.removeEventListener('abort', onAbort)
    if (parting === 'stop') {
      await this.#leave(session)
      return undefined
    }
    const stoodMs = performance.now() - since
    this.#backoff.stood(stoodMs)
    return this.#part(session, parting, stoodMs)
  }

  async #part(session: Session, parting: Parting, stoodMs: number): Promise<AgentEnd | undefined> {
    const reason = 'goaway' in parting ? parting.goaway : parting.end
    const message = messageOf(parting)
    if (reason === 'draining' || reason === 'tunnel_changed') {
      // The next connection is made while this one finishes: visitors notice nothing.
      this.#finishing.add(session)
      session.finish(MOVED_MS).then(() => this.#finishing.delete(session))
      // The first moves are made at once; relays that send the agent on and on meet the backoff.
      await this.#wait(message, this.#backoff.move(stoodMs))
      return undefined
    }
    session.destroy()
    // How we ended it ourselves is no verdict on us.
    if ('goaway' in parting && isGoawayReason(reason) && goaways[reason].after === 'end')
      return { kind: 'sent_away', reason, message }
    await this.#wait(message, this.#backoff.next())
    return undefined
  }

  /** Asks for no more requests, and waits until the relay has heard. */
  async #leave(session: Session): Promise<void> {
    this.#finishing.add(session)
    session.leave()
    const heard = new AbortController()
    await Promise.race([session.parted, delay(FAREWELL_MS, undefined, { signal: heard.signal })])
    heard.abort()
  }

  async #finish(): Promise<void> {
    await Promise.all([...this.#finishing].map((session) => session.finish(STOPPED_MS)))
  }

  async #wait(why: string, ms: number): Promise<void> {
    const { on, signal } = this.#options
    on({ kind: 'retrying', why, inMs: ms })
    await delay(ms, undefined, { signal }).catch(() => {})
  }
}

function messageOf(parting: Parting): string {
  if ('goaway' in parting)
    return isGoawayReason(parting.goaway)
      ? goaways[parting.goaway].message
      : `The relay says ${parting.goaway}`
  return ENDS[parting.end] ?? parting.end
}

const ENDS: Readonly<Record<string, string>> = {
  lost: 'The connection was lost',
  stalled: 'The connection takes nothing any more',
  protocol_error: 'The relay broke the protocol',
}
