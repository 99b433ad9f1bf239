import type { Asked, Asker } from './asker.ts'
import { LocalConnection } from './local-connection.ts'

// Node, the shortest-lived of those in wide use, ends an idle connection after five seconds.
const IDLE_MS = 4000
const SWEEP_MS = 1000
const CONNECT_MS = 30_000

/** The local server: its connections, kept while they are of use, and as many as there are requests at once. */
export class LocalServer {
  readonly #port: number
  readonly #idle: LocalConnection[] = []
  readonly #sweep: NodeJS.Timeout
  /** How many connections there are, idle ones included. */
  size = 0
  /** Development servers listen on one of both, and which is a matter of taste. */
  readonly #addresses = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]

  constructor(port: number) {
    this.#port = port
    this.#sweep = setInterval(() => this.#closeIdle(performance.now() - IDLE_MS), SWEEP_MS)
    this.#sweep.unref()
  }

  /** Asks on a connection that was idle for less than this, or on a new one. */
  ask(asked: Asked, asker: Asker, maxIdleMs = IDLE_MS): LocalConnection {
    const idle = this.#idle.at(-1) // the one that was used last is the likeliest to live
    const isFresh = idle !== undefined && performance.now() - idle.idleSince < maxIdleMs
    const connection = isFresh ? idle : this.#open()
    if (isFresh) this.#idle.pop()
    connection.ask(asked, asker)
    return connection
  }

  close(): void {
    clearInterval(this.#sweep)
    this.#closeIdle(Number.POSITIVE_INFINITY)
  }

  #open(): LocalConnection {
    const where = {
      host: 'localhost',
      port: this.#port,
      autoSelectFamily: true,
      // One that does not listen says so at once; one that is slow to accept is given its time.
      autoSelectFamilyAttemptTimeout: CONNECT_MS,
      lookup: (_host: string, _options: object, done: LookupDone) => done(null, this.#addresses),
    }
    this.size++
    return new LocalConnection(where, {
      onConnect: (family) => this.#prefer(family),
      onIdle: (connection) => this.#idle.push(connection),
      onGone: (connection) => {
        this.size--
        const at = this.#idle.indexOf(connection)
        if (at !== -1) this.#idle.splice(at, 1)
      },
    })
  }

  #prefer(family: string | undefined): void {
    if (this.#addresses[0]?.family !== (family === 'IPv6' ? 6 : 4)) this.#addresses.reverse()
  }

  #closeIdle(before: number): void {
    while (this.#idle[0] && this.#idle[0].idleSince < before) this.#idle.shift()?.leave()
  }
}

type LookupDone = (error: null, addresses: { address: string; family: number }[]) => void
