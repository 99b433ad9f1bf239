import { Agent, type ClientRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { ReadBuffers } from './read-buffers.ts'

// Node, the shortest-lived of those in wide use, ends an idle connection after five seconds.
const IDLE_MS = 4000
const SWEEP_MS = 1000
const CONNECT_MS = 30_000

/** How long a request's connection may have been idle: 0 asks for a new one. */
export interface FreshOptions {
  readonly maxIdleMs?: number
}

/** A connection that nobody uses right now. */
interface Idle {
  readonly socket: Socket
  readonly since: number
}

/**
 * The connections to the local server, for node:http: kept while they are of use, and as many as there are requests.
 * Node's own Agent costs a fifth of all that the agent spends on a small request.
 */
export class LocalServer extends Agent {
  readonly #port: number
  readonly #idle: Idle[] = []
  readonly #sweep: NodeJS.Timeout
  /** Development servers listen on one of both, and which is a matter of taste. */
  readonly #addresses = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]

  constructor(port: number) {
    super({ keepAlive: true })
    this.#port = port
    this.#sweep = setInterval(() => this.#closeIdle(performance.now() - IDLE_MS), SWEEP_MS)
    this.#sweep.unref()
  }

  /** Called by node:http for each request. */
  addRequest(request: ClientRequest, { maxIdleMs = IDLE_MS }: FreshOptions): void {
    const idle = this.#idle.at(-1) // the one that was used last is the likeliest to live
    if (idle && performance.now() - idle.since < maxIdleMs) {
      this.#idle.pop()
      request.reusedSocket = true
      request.onSocket(idle.socket)
    } else request.onSocket(this.#open())
  }

  /** A connection that carries whatever it is given, and is not kept. */
  openRaw(): Socket {
    return connect({ ...this.#where(), allowHalfOpen: true })
  }

  override destroy(): void {
    clearInterval(this.#sweep)
    this.#closeIdle(Number.POSITIVE_INFINITY)
    super.destroy()
  }

  #open(): Socket {
    const buffers = new ReadBuffers()
    const socket: Socket = connect({
      ...this.#where(),
      onread: {
        buffer: () => buffers.next(),
        callback: (bytes: number, buffer: Uint8Array) => {
          buffers.filled(bytes)
          // node:http listens; nobody does where the server speaks without having been asked.
          const isExpected = socket.emit('data', (buffer as Buffer).subarray(0, bytes))
          if (!isExpected) socket.destroy()
          return true
        },
      },
    })
    socket.on('free', () => {
      if (socket.writable) this.#idle.push({ socket, since: performance.now() })
    })
    socket.on('error', () => {}) // told to the request, where there is one
    socket.once('connect', () => this.#prefer(socket.remoteFamily))
    const leave = () => {
      const at = this.#idle.findIndex((idle) => idle.socket === socket)
      if (at !== -1) this.#idle.splice(at, 1)
    }
    socket.on('end', leave)
    socket.on('close', leave)
    return socket
  }

  #prefer(family: string | undefined): void {
    if (this.#addresses[0]?.family !== (family === 'IPv6' ? 6 : 4)) this.#addresses.reverse()
  }

  #where() {
    return {
      host: 'localhost',
      port: this.#port,
      noDelay: true,
      autoSelectFamily: true,
      // One that does not listen says so at once; one that is slow to accept is given its time.
      autoSelectFamilyAttemptTimeout: CONNECT_MS,
      lookup: (_host: string, _options: object, done: LookupDone) => done(null, this.#addresses),
    }
  }

  #closeIdle(before: number): void {
    while (this.#idle[0] && this.#idle[0].since < before) this.#idle.shift()?.socket.destroy()
  }
}

type LookupDone = (error: null, addresses: { address: string; family: number }[]) => void
