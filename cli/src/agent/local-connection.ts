import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { MAX_DATA_BYTES } from '@instatunnel/kit/frames'
import { type Answer, AnswerParser, type AnswerSink, FOLLOWS } from './answer-parser.ts'
import type { Asked, Asker } from './asker.ts'

/**
 * What every connection reads into, as much as one data frame carries. They can share it: what was read is handed on
 * before anything else is read, and the parser gives copies of the bodies in it.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(MAX_DATA_BYTES)

/** What a connection tells whoever keeps it. */
export interface ConnectionHooks {
  readonly onConnect: (family: string | undefined) => void
  /** The next request may come. */
  readonly onIdle: (own: LocalConnection) => void
  /** No request may come any more. */
  readonly onGone: (own: LocalConnection) => void
}

/** One connection to the local server: one request at a time. */
export class LocalConnection implements AnswerSink {
  /** When it was given back, by performance.now(). */
  idleSince = 0
  /** True from the second request on. */
  isUsed = false
  readonly #socket: Socket
  readonly #parser = new AnswerParser(this)
  readonly #onIdle: (connection: LocalConnection) => void
  #asker: Asker | undefined
  #asked: Asked | undefined
  #ended = false
  #answer: Answer | undefined
  #answerEnded = false
  #switched = false
  #spoiled = false

  constructor(where: NetConnectOpts, { onConnect, onIdle, onGone }: ConnectionHooks) {
    this.#onIdle = onIdle
    this.#socket = connect({
      ...where,
      noDelay: true,
      onread: {
        buffer: READ_BUFFER,
        callback: (bytes) => {
          this.#read(READ_BUFFER.subarray(0, bytes))
          return true
        },
      },
    })
    this.#socket.once('connect', () => onConnect(this.#socket.remoteFamily))
    this.#socket.on('drain', () => this.#asker?.drained())
    this.#socket.on('end', () => this.#readEnd())
    this.#socket.on('error', (error) => this.#break(error))
    this.#socket.on('close', () => {
      this.#break(brokenOff())
      onGone(this)
      setImmediate(() => this.#parser.close())
    })
  }

  /** Nothing is taken any more. */
  get isGone(): boolean {
    return this.#socket.destroyed
  }

  /** Writes a request's head; a body's first pieces go along with it. */
  ask(asked: Asked, asker: Asker): void {
    this.#asker = asker
    this.#asked = asked
    this.#answer = undefined
    this.#answerEnded = false
    this.#ended = asked.ends
    const socket = this.#socket
    if (!asked.ends) {
      socket.cork()
      process.nextTick(() => socket.uncork())
    }
    socket.write(asked.head, 'latin1')
  }

  /** Writes a piece of the request's body, or of what follows a switch; false where drained() is to be awaited. */
  write(chunk: Buffer): boolean {
    const socket = this.#socket
    if (!this.#asked?.chunked || this.#switched) return socket.write(chunk)
    socket.cork()
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
    socket.write(chunk)
    const more = socket.write('\r\n', 'latin1')
    socket.uncork()
    return more
  }

  /** Ends the request, with trailers as lines where it has any; once protocols are switched, our direction. */
  end(trailers = ''): void {
    if (this.#switched) {
      this.#socket.end()
      return
    }
    if (this.#asked?.chunked) this.#socket.write(`0\r\n${trailers}\r\n`, 'latin1')
    this.#ended = true
    this.#settle()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /**
   * Ends the connection without telling the asker; once protocols are switched, by a reset, which is no regular end. An
   * asker whose request is over ends nothing: the connection may carry another request by now. Left out for an idle one.
   */
  leave(asker?: Asker): void {
    if (asker !== this.#asker) return
    this.#asker = undefined
    const socket = this.#socket
    // Node's reset waits until all is written, which a local server that reads nothing never allows, and fails after end().
    if (this.#switched && socket.writableLength === 0 && !socket.writableEnded) socket.resetAndDestroy()
    else socket.destroy()
  }

  onBegin(): void {
    // More than was asked for: this connection is not to be trusted with another request.
    if (this.#answerEnded) this.#spoiled = true
  }

  onHead(answer: Answer): (typeof FOLLOWS)[keyof typeof FOLLOWS] {
    if (this.#answerEnded || !this.#asker) return FOLLOWS.nothing
    const { status } = answer
    if (status < 200 && status !== 101) {
      this.#asker.informed(answer)
      return FOLLOWS.nothing
    }
    if (status === 101 && !(answer.switches && this.#asked?.upgrades)) {
      this.#break(new Error('it switches protocols unasked'))
      return FOLLOWS.protocol
    }
    this.#answer = answer
    this.#switched = status === 101
    if (this.#switched) this.#socket.allowHalfOpen = true
    this.#asker.answered(answer)
    if (this.#switched) return FOLLOWS.protocol
    return this.#asked?.method === 'HEAD' || status === 304 ? FOLLOWS.nothing : FOLLOWS.body
  }

  onBody(chunk: Buffer): void {
    if (!this.#answerEnded) this.#asker?.received(chunk)
  }

  onComplete(trailers: readonly string[]): void {
    if (!this.#answer || this.#answerEnded || this.#switched) return
    this.#answerEnded = true
    this.#asker?.completed(trailers)
  }

  #read(chunk: Buffer): void {
    if (this.#switched) {
      this.#asker?.received(Buffer.from(chunk))
      return
    }
    if (!this.#asker) {
      this.#socket.destroy() // nobody asked
      return
    }
    try {
      const parsed = this.#parser.read(chunk)
      if (this.#switched && parsed < chunk.length) this.#asker?.received(Buffer.from(chunk.subarray(parsed)))
    } catch (error) {
      this.#spoiled = true
      if (!this.#answerEnded) this.#break(error as Error)
    }
    this.#settle()
  }

  #readEnd(): void {
    if (this.#switched) {
      this.#asker?.completed([])
      return
    }
    try {
      this.#parser.end()
    } catch {
      // Told below: the answer is not whole.
    }
    this.#break(brokenOff())
  }

  /** Once request and answer are whole, the connection is free. */
  #settle(): void {
    if (!this.#answerEnded || !this.#ended || !this.#asker) return
    this.#asker = undefined
    if (this.#spoiled || !this.#answer?.keepsAlive || !this.#socket.writable) {
      this.#socket.destroy()
      return
    }
    this.#socket.resume() // whoever was not served fast enough is served now
    this.isUsed = true
    this.idleSince = performance.now()
    this.#onIdle(this)
  }

  #break(error: Error): void {
    const asker = this.#asker
    this.#asker = undefined
    this.#socket.destroy()
    if (!this.#answerEnded) asker?.broken(error)
  }
}

const brokenOff = () => Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
