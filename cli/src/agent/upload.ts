import type { LinkStream } from '@instatunnel/kit/link'
import type { LocalConnection } from './local-connection.ts'

/**
 * The way of what a visitor sends to the local server: a piece at a time, each given back to the relay as soon as it is
 * taken. By that the relay sees that an upload moves, however slow the local server reads.
 */
export class Upload {
  readonly #stream: LinkStream
  readonly #connection: LocalConnection
  readonly #waiting: Buffer[] = []
  /** Given to the connection, which has not taken it yet. */
  #owed = 0
  /** The trailers that end it, once what waits has been taken. */
  #ending: string | undefined

  constructor(stream: LinkStream, connection: LocalConnection) {
    this.#stream = stream
    this.#connection = connection
  }

  write(chunk: Buffer): void {
    if (this.#owed > 0) this.#waiting.push(chunk)
    else this.#pass(chunk)
  }

  /** Nothing follows; of a body in chunks, but trailers as lines. */
  end(trailers = ''): void {
    this.#ending = trailers
    this.#passEnd()
  }

  /** The connection takes more. */
  drained(): void {
    const owed = this.#owed
    this.#owed = 0
    this.#stream.consumed(owed)
    while (this.#owed === 0) {
      const next = this.#waiting.shift()
      if (next === undefined) break
      this.#pass(next)
    }
    this.#passEnd()
  }

  #pass(chunk: Buffer): void {
    if (this.#connection.write(chunk)) this.#stream.consumed(chunk.length)
    else this.#owed = chunk.length
  }

  #passEnd(): void {
    if (this.#ending === undefined || this.#waiting.length > 0) return
    const trailers = this.#ending
    this.#ending = undefined
    this.#connection.end(trailers)
  }
}
