import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { MAX_HEAD_BYTES, RESET, WINDOW_BYTES } from '@instatunnel/kit/frames'
import type { LinkStream, StreamSink } from '@instatunnel/kit/link'
import type { Destination, FindDestination } from '../destination.ts'
import { type AnswerHead, passedTrailers, readAnswer, readTrailers } from '../domain/head.ts'
import type { Origin } from '../domain/origin.ts'
import { answerTo, faultOfHead, faultOfReset, type VisitorFault } from '../domain/visitor-error.ts'
import { headText } from './head-text.ts'
import { IdleTimer } from './idle-timer.ts'
import { refusalText } from './refusal-text.ts'

/** What all visits share. */
export interface VisitDeps {
  readonly find: FindDestination
  /** Our domain: no site sets cookies for it. */
  readonly domain: string
  /**
   * How long nothing may move while it is the local server's turn: until it answers what it has whole, and until it takes
   * more of what is sent; 0 for no limit. A tunnel's own goes before it.
   */
  readonly responseTimeoutMs: number
  /** How long a local server may say nothing on a WebSocket whose visitor has ended its side, which may mean that it has gone. */
  readonly lingerMs: number
}

/** A request as it is sent on. */
export interface Outgoing extends Origin {
  readonly subdomain: string | undefined
  readonly head: string
  readonly hasBody: boolean
}

// What may be asked twice without harm (RFC 9110, section 9.2.2), where nothing of it has been answered.
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** A peer that has no such agent any more: that is about to be heard here. */
export const AGAIN_MS = 100

// An upload that nobody takes is given up at last, also without a limit: that its visitor has gone cannot be seen.
const STALLED_MS = 3_600_000

// That something of it is taken is told once a heartbeat of 1.6 s (LinkStream.consumed).
const TOLD_WITHIN_MS = 3200

/** How long an upload may be held that nobody takes. */
export const stallMs = (responseTimeoutMs: number) =>
  responseTimeoutMs === 0 ? STALLED_MS : Math.max(responseTimeoutMs, TOLD_WITHIN_MS)

/** One visitor's request: sent through a tunnel, answered as it comes back. */
export class Visit implements StreamSink {
  readonly #deps: VisitDeps
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #outgoing: Outgoing
  #destination: Destination | undefined
  #stream: LinkStream | undefined
  #sentAt = 0
  readonly #timer = new IdleTimer(() => this.#tooSlow())
  #retry: NodeJS.Timeout | undefined
  /** True while the body is not read, as nobody takes it. */
  #held = false
  #tries = 0
  #answered = false
  /** Node's answer has taken in a part of what is none. */
  #spoiled = false
  #hasWritten = false
  /** How much came before the answer. */
  #informed = 0
  /** What of the announced length has not come yet. */
  #left: number | undefined
  /** Taken from the stream and not yet by the visitor. */
  #owed = 0
  #over = false

  constructor(deps: VisitDeps, request: IncomingMessage, response: ServerResponse, outgoing: Outgoing) {
    this.#deps = deps
    this.#request = request
    this.#response = response
    this.#outgoing = outgoing
    response.on('close', () => this.#abandoned())
  }

  /** Looks for where the request goes, and sends it there. */
  start(): void {
    const { subdomain } = this.#outgoing
    const found = subdomain === undefined ? 'unknown' : this.#deps.find(subdomain, this.#outgoing)
    if (found instanceof Promise) {
      found
        .then(
          (late) => this.#go(late),
          () => this.#fail('unavailable'),
        )
        .catch(() => this.#cutOff()) // whatever is wrong with us ends this visit alone
    } else this.#go(found)
  }

  #go(found: Destination | VisitorFault): void {
    if (this.#over) return
    if (typeof found === 'string') {
      this.#fail(found)
      return
    }
    const { head, hasBody } = this.#outgoing
    this.#destination = found
    this.#tries++
    this.#sentAt = performance.now()
    const stream = found.carrier.open(head, !hasBody, this, this.#outgoing)
    if (typeof stream !== 'object') {
      this.#fail(stream ?? faultOfHead(head))
      return
    }
    this.#stream = stream
    // Until the body has come whole it is the visitor's turn, unless that waits for a word of the local server's.
    if (!hasBody || this.#request.headers.expect !== undefined) this.#timer.start(this.#timeoutMs)
    if (hasBody && this.#tries === 1) this.#sendBody(found)
  }

  #sendBody({ meter }: Destination): void {
    const request = this.#request
    request.on('data', (chunk: Buffer) => {
      if (this.#over) return
      this.#timer.stop()
      meter.bytesIn(chunk.length)
      if (this.#stream?.send(chunk) === false) this.#hold()
    })
    request.on('end', () => {
      const trailers = passedTrailers(request.rawTrailers)
      if (trailers.length > 0) this.#stream?.trailers(trailers.flat().join('\n'))
      else this.#stream?.end()
      if (this.#answered || this.#over) return
      const isTaken = (this.#stream?.credit ?? 0) > WINDOW_BYTES / 2
      this.#timer.start(isTaken || this.#timeoutMs === 0 ? this.#timeoutMs : stallMs(this.#timeoutMs))
    })
  }

  get #timeoutMs(): number {
    return this.#destination?.responseTimeoutMs ?? this.#deps.responseTimeoutMs
  }

  /**
   * Nothing of the body is read while nobody takes it. Who is not read is not noticed to have gone, either: what stays
   * held is given up.
   */
  #hold(): void {
    this.#held = true
    this.#request.pause()
    this.#timer.start(stallMs(this.#timeoutMs))
  }

  writable(): void {
    if (!this.#held) return
    this.#held = false
    this.#timer.stop()
    this.#request.resume()
  }

  credited(): void {
    this.#timer.moved()
  }

  head(text: string, end: boolean): void {
    const answer = readAnswer(text, this.#deps.domain, this.#request.method ?? '')
    if (!answer || this.#answered || answer.status === 101) {
      this.#broken()
      return
    }
    if (answer.status < 200) {
      // No credit holds heads back: without an end they would fill the memory.
      this.#informed += text.length
      if (this.#informed > MAX_HEAD_BYTES) this.#broken()
      else this.#informs(answer)
      // With a 100 it is the visitor's turn, where its body has not come whole.
      if (answer.status === 100 && !this.#held && !this.#stream?.localEnded) this.#timer.stop()
      else this.#timer.moved()
      return
    }
    try {
      this.#response.writeHead(answer.status, answer.reason, answer.headers as string[])
    } catch {
      // Node refuses what is no header: so did nobody before it.
      this.#spoiled = true
      this.#broken()
      return
    }
    this.#answered = true
    if (!this.#held) this.#timer.stop()
    this.#destination?.meter.request(Math.floor(answer.status / 100), performance.now() - this.#sentAt)
    this.#left = answer.isBodiless ? 0 : answer.contentLength
    if (end) this.#finish()
    // A head that comes alone goes on alone; with the body's first piece it leaves in one write.
    else process.nextTick(() => this.#flushHead())
  }

  data(chunk: Buffer, end: boolean): void {
    if (!this.#answered || this.#over) {
      if (!this.#over) this.#broken()
      return
    }
    this.#timer.moved()
    const bytes = chunk.length
    if (this.#left !== undefined) {
      // One byte more would be taken for the beginning of another visitor's answer.
      if (bytes > this.#left) {
        this.#broken()
        return
      }
      this.#left -= bytes
    }
    this.#destination?.meter.bytesOut(bytes)
    if (end) {
      this.#finish(chunk)
      return
    }
    if (bytes === 0) return
    this.#hasWritten = true
    if (this.#response.write(chunk)) {
      this.#stream?.consumed(bytes)
      return
    }
    if (this.#owed === 0) this.#response.once('drain', () => this.#drained())
    this.#owed += bytes
  }

  trailers(text: string): void {
    const trailers = readTrailers(text)
    if (!this.#answered || !trailers) {
      this.#broken()
      return
    }
    try {
      this.#response.addTrailers(trailers)
    } catch {
      this.#broken()
      return
    }
    this.#finish()
  }

  reset(code: number): void {
    if (this.#over) return
    this.#timer.stop()
    if (this.#answered) {
      this.#cutOff()
      return
    }
    const isUntouched = code === RESET.refused || code === RESET.lost
    const { hasBody } = this.#outgoing
    if (isUntouched && !hasBody && this.#tries < 3 && REPEATABLE.has(this.#request.method ?? '')) {
      if (code === RESET.lost) this.start()
      else this.#retry = setTimeout(() => this.#again(), AGAIN_MS)
      return
    }
    this.#fail(faultOfReset(code))
  }

  #again(): void {
    try {
      this.start()
    } catch {
      this.#fail('unavailable') // in a timer nobody else would take it
    }
  }

  #flushHead(): void {
    if (!this.#hasWritten && !this.#over) this.#response.flushHeaders()
  }

  #drained(): void {
    const owed = this.#owed
    this.#owed = 0
    this.#stream?.consumed(owed)
  }

  /** Passes on what comes before the answer: 100, 102 and 103. */
  #informs({ status, headers }: AnswerHead): void {
    if (status === 100) {
      this.#response.writeContinue()
      return
    }
    const reason = INTERIM[status]
    // By hand: Node says no hints without a link, and none that has several in one line.
    const text = reason && headText(`HTTP/1.1 ${status} ${reason}`, headers)
    if (text) this.#response.socket?.write(text, 'latin1')
  }

  #finish(last?: Buffer): void {
    if (this.#left !== undefined && this.#left > 0) {
      this.#broken()
      return
    }
    this.#close(() => this.#response.end(last))
    // The answer is complete before the request is: the rest of it interests nobody.
    if (this.#stream && !this.#stream.localEnded) this.#stream.reset(RESET.cancelled)
  }

  /**
   * Nothing more is done for the request but to say the last of its answer; where that fails its connection ends, as no
   * visitor may wait for nothing. What is still to come of the request is read and thrown away: the gateway may have sent it
   * all and take the connection for the next visitor's, whose request would never be read behind it.
   */
  #close(sayLast: () => void): void {
    this.#over = true
    this.#timer.stop()
    clearTimeout(this.#retry)
    try {
      this.#request.resume()
      sayLast()
    } catch {
      this.#request.socket.destroy()
    }
  }

  #tooSlow(): void {
    this.#stream?.reset(RESET.too_slow)
    if (this.#answered) this.#cutOff()
    else this.#fail('too_slow')
  }

  /** What came is no answer to this request. */
  #broken(): void {
    this.#stream?.reset(RESET.cancelled)
    if (this.#answered) this.#cutOff()
    else this.#fail('local_broken')
  }

  /** The visitor must see that the answer is not whole: what there is of it goes out, and then nothing. */
  #cutOff(): void {
    const response = this.#response
    this.#close(() => {
      // It is whole all the same, and the gateway may have sent somebody else's request on this connection since.
      if (this.#left === 0) response.end()
      else {
        if (this.#answered) response.flushHeaders()
        this.#request.socket.destroySoon()
      }
    })
  }

  #fail(fault: VisitorFault): void {
    if (this.#over) return
    const { accept } = this.#request.headers
    const { status, headers, body } = answerTo(fault, accept)
    const response = this.#response
    const isHead = this.#request.method === 'HEAD'
    this.#close(() => {
      if (!this.#spoiled)
        response.writeHead(status, STATUS_CODES[status], headers).end(isHead ? undefined : body)
      else if (response.socket) response.socket.end(refusalText(fault, { accept, isHead }))
      else this.#request.socket.destroy() // an answer before it is not finished
    })
    this.#destination?.meter.request(Math.floor(status / 100), performance.now() - this.#sentAt)
  }

  /** The visitor has gone, or all is done. */
  #abandoned(): void {
    if (this.#over) return
    this.#close(() => {})
    this.#stream?.reset(RESET.cancelled)
  }
}

const INTERIM: Readonly<Record<number, string>> = { 102: 'Processing', 103: 'Early Hints' }
