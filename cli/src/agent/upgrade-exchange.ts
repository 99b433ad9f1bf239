import { ClientRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { FrameError, MAX_HEAD_BYTES, RESET } from '@instatunnel/kit/frames'
import type { LinkStream, StreamSink } from '@instatunnel/kit/link'
import { answerHead } from './answer-head.ts'
import { Answering } from './answering.ts'
import type { ExchangeDeps } from './exchange.ts'
import type { RequestHead } from './request-head.ts'
import { OpenVisit } from './visit.ts'

/**
 * A visitor that asks to switch to another protocol, WebSocket for one. Once the local server has agreed, bytes pass as
 * they are in both directions, each until its own end; where it does not agree, its answer passes as any other.
 */
export class UpgradeExchange implements StreamSink {
  readonly #stream: LinkStream
  readonly #visit: OpenVisit
  readonly #answering: Answering
  #request: ClientRequest | undefined
  #socket: Socket | undefined
  /** What the visitor said and the local server was not told yet; an empty piece is the end. */
  readonly #unsaid: Buffer[] = []
  #owed = 0

  constructor({ local, report }: ExchangeDeps, stream: LinkStream, { method, path, headers }: RequestHead) {
    this.#stream = stream
    this.#visit = new OpenVisit({ method, path }, report)
    this.#answering = new Answering(stream, this.#visit)
    try {
      this.#request = new ClientRequest({
        createConnection: () => local.openRaw(),
        method,
        path,
        headers,
        setDefaultHeaders: false,
        maxHeaderSize: MAX_HEAD_BYTES,
      } as never)
    } catch {
      this.#answering.fail(RESET.local_broken, 'the request is no HTTP')
      return
    }
    this.#request.on('information', (information) => this.#answering.inform(information))
    this.#request.on('response', (response) => this.#refused(response))
    this.#request.on('upgrade', (response, socket, first) => this.#switch(response, socket as Socket, first))
    this.#request.on('error', (error) => this.#answering.broken(error))
    this.#request.end()
  }

  head(): void {
    throw new FrameError('a request has one head')
  }

  data(chunk: Buffer, end: boolean): void {
    if (this.#answering.hasBegun) {
      this.#stream.consumed(chunk.length) // it was meant for another protocol
      return
    }
    if (chunk.length > 0) this.#unsaid.push(chunk)
    if (end) this.#unsaid.push(EMPTY)
    if (this.#socket) this.#flush(this.#socket)
  }

  trailers(): void {
    throw new FrameError('bytes have no trailers')
  }

  /** The visitor has gone, or the tunnel has. */
  reset(): void {
    this.#answering.cancel()
    this.#destroy()
  }

  writable(): void {
    this.#answering.resume()
    this.#socket?.resume()
  }

  #refused(response: IncomingMessage): void {
    this.#unsaid.length = 0
    if (response.statusCode === 101) {
      this.#answering.fail(RESET.local_broken, 'the local server switches to no protocol')
      this.#destroy()
    } else this.#answering.begin(response)
  }

  #switch(response: IncomingMessage, socket: Socket, first: Buffer): void {
    this.#socket = socket
    if (this.#visit.over || !this.#stream.head(answerHead(response), false)) {
      this.#answering.fail(RESET.local_broken, 'the head of the answer is too long')
      this.#destroy()
      return
    }
    this.#visit.status = response.statusCode
    this.#visit.close()
    socket.on('data', (chunk: Buffer) => this.#read(socket, chunk))
    socket.on('end', () => this.#stream.end())
    socket.on('drain', () => this.#drained())
    socket.on('error', () => this.#stream.reset(RESET.local_broken))
    socket.on('close', () => this.#stream.reset(RESET.local_broken)) // where both ends were said, this says nothing
    if (first.length > 0) this.#read(socket, first)
    this.#flush(socket)
  }

  #read(socket: Socket, chunk: Buffer): void {
    if (!this.#stream.send(chunk)) socket.pause()
  }

  #flush(socket: Socket): void {
    for (const piece of this.#unsaid.splice(0)) {
      if (piece.length === 0) socket.end()
      else if (socket.write(piece)) this.#stream.consumed(piece.length)
      else this.#owed += piece.length
    }
  }

  #drained(): void {
    const owed = this.#owed
    this.#owed = 0
    this.#stream.consumed(owed)
  }

  #destroy(): void {
    this.#request?.destroy()
    this.#socket?.resetAndDestroy() // an end that was not said must not look like one
  }
}

const EMPTY = Buffer.alloc(0)
