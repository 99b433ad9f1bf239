import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { RESET } from '@instatunnel/kit/frames'
import type { LinkStream, StreamSink } from '@instatunnel/kit/link'
import type { Destination } from '../destination.ts'
import { type AnswerHead, readAnswer } from '../domain/head.ts'
import { answerTo, faultOfHead, faultOfReset, type VisitorFault } from '../domain/visitor-error.ts'
import { headText } from './head-text.ts'
import { AGAIN_MS, type Outgoing, type VisitDeps } from './visit.ts'

/** One visitor that asks to switch to another protocol, WebSocket for one: from then on bytes pass as they are. */
export class UpgradeVisit implements StreamSink {
  readonly #deps: VisitDeps
  readonly #request: IncomingMessage
  readonly #socket: Duplex
  /** What the visitor has sent already. */
  readonly #early: Buffer
  readonly #outgoing: Outgoing
  #destination: Destination | undefined
  #stream: LinkStream | undefined
  #timer: NodeJS.Timeout | undefined
  #holding: NodeJS.Timeout | undefined
  #sentAt = 0
  #tries = 0
  #counted = false
  #switched = false
  #answer: { response: ServerResponse; left: number | undefined } | undefined
  #owed = 0
  #over = false

  constructor(
    deps: VisitDeps,
    { request, socket, early }: { request: IncomingMessage; socket: Duplex; early: Buffer },
    outgoing: Outgoing,
  ) {
    this.#deps = deps
    this.#request = request
    this.#socket = socket
    this.#early = early
    this.#outgoing = outgoing
    socket.on('error', () => this.#gone())
    socket.on('close', () => this.#gone())
    socket.on('drain', () => this.#drained())
  }

  /** Looks for where the request goes, and sends it there. */
  async start(): Promise<void> {
    const { subdomain, head } = this.#outgoing
    const found = await Promise.resolve(
      subdomain === undefined ? 'unknown' : this.#deps.find(subdomain),
    ).catch(() => 'unavailable' as const)
    if (this.#over) return
    if (typeof found === 'string') {
      this.#fail(found)
      return
    }
    this.#destination = found
    this.#tries++
    this.#sentAt = performance.now()
    this.#stream = found.carrier.open(head, false, this)
    if (!this.#stream) this.#fail(faultOfHead(head))
    else this.#timer = setTimeout(() => this.#tooSlow(), this.#deps.responseTimeoutMs)
  }

  head(text: string, end: boolean): void {
    const answer = readAnswer(text, this.#deps.domain, this.#request.method ?? '')
    if (!answer || this.#switched || this.#answer) {
      this.#broken()
      return
    }
    if (answer.status !== 101 && answer.status < 200) return
    clearTimeout(this.#timer)
    if (answer.status === 101 && !end) this.#switch(answer)
    else if (answer.status === 101) this.#broken()
    else if (answer.status >= 400) this.#refused(answer, end)
    else {
      // The gateway passes no other answer to an upgrade than 101 and a refusal.
      this.#stream?.reset(RESET.cancelled)
      this.#fail('not_switched')
    }
  }

  data(chunk: Buffer, end: boolean): void {
    if (this.#over) return
    this.#destination?.meter.bytesOut(chunk.length)
    if (this.#switched) this.#write(this.#socket, chunk, end)
    else if (this.#answer) this.#writeAnswer(chunk, end)
    else this.#broken()
  }

  trailers(): void {
    if (this.#answer) this.#answer.response.end()
    else this.#broken()
  }

  reset(code: number): void {
    if (this.#over) return
    if (this.#switched || this.#answer) this.#cutOff()
    else if ((code === RESET.refused || code === RESET.lost) && this.#tries < 3) this.#again(code)
    else this.#fail(faultOfReset(code))
  }

  /** Nothing has been answered, and nothing was sent but the question: another agent may be asked. */
  #again(code: number): void {
    clearTimeout(this.#timer)
    const again = () => this.start().catch(() => this.#cutOff())
    if (code === RESET.lost) again()
    else this.#timer = setTimeout(again, AGAIN_MS)
  }

  writable(): void {
    clearTimeout(this.#holding)
    this.#socket.resume()
  }

  #switch({ headers, upgrade = '', reason }: AnswerHead): void {
    const text = headText(`HTTP/1.1 101 ${reason}`, ['connection', 'upgrade', 'upgrade', upgrade, ...headers])
    if (text === undefined) {
      this.#broken()
      return
    }
    this.#switched = true
    this.#count(101)
    this.#socket.write(text, 'latin1')
    this.#socket.on('data', (chunk: Buffer) => this.#send(chunk))
    this.#socket.on('end', () => this.#stream?.end())
    if (this.#early.length > 0) this.#send(this.#early)
  }

  #send(chunk: Buffer): void {
    this.#destination?.meter.bytesIn(chunk.length)
    if (this.#stream?.send(chunk) !== false) return
    // Who is not read is not noticed to have gone: what nobody takes for so long is given up.
    this.#socket.pause()
    this.#holding = setTimeout(() => {
      this.#stream?.reset(RESET.too_slow)
      this.#cutOff()
    }, this.#deps.responseTimeoutMs)
  }

  /** True where an answer to an earlier request is not finished: behind it nothing can be said. */
  get #isTaken(): boolean {
    return Boolean((this.#socket as { _httpMessage?: unknown })._httpMessage)
  }

  /** The local server keeps to HTTP: its answer goes out as to any request, and the connection with it. */
  #refused({ status, reason, headers, contentLength, isBodiless }: AnswerHead, end: boolean): void {
    if (this.#isTaken) {
      this.#broken()
      return
    }
    const response = this.#respond()
    this.#answer = { response, left: isBodiless ? 0 : contentLength }
    try {
      response.writeHead(status, reason, [...headers, 'connection', 'close'])
    } catch {
      this.#broken()
      return
    }
    this.#count(status)
    if (end) response.end()
    else response.flushHeaders()
  }

  #writeAnswer(chunk: Buffer, end: boolean): void {
    const answer = this.#answer
    if (!answer) return
    if (answer.left !== undefined) {
      if (chunk.length > answer.left || (end && chunk.length < answer.left)) {
        this.#broken()
        return
      }
      answer.left -= chunk.length
    }
    this.#write(answer.response, chunk, end)
  }

  #write(to: Duplex | ServerResponse, chunk: Buffer, end: boolean): void {
    const taken = chunk.length === 0 || to.write(chunk)
    if (end) to.end()
    else if (taken) this.#stream?.consumed(chunk.length)
    else this.#owed += chunk.length
  }

  #drained(): void {
    const owed = this.#owed
    this.#owed = 0
    if (owed > 0) this.#stream?.consumed(owed)
  }

  #respond(): ServerResponse {
    const response = new ServerResponse(this.#request)
    response.shouldKeepAlive = false
    response.sendDate = false
    response.assignSocket(this.#socket as never)
    response.on('finish', () => {
      this.#over = true
      this.#socket.end()
    })
    return response
  }

  #tooSlow(): void {
    this.#stream?.reset(RESET.too_slow)
    this.#fail('too_slow')
  }

  #broken(): void {
    this.#stream?.reset(RESET.cancelled)
    if (this.#switched || this.#answer) this.#cutOff()
    else this.#fail('local_broken')
  }

  #fail(fault: VisitorFault): void {
    if (this.#over) return
    clearTimeout(this.#timer)
    if (this.#isTaken) {
      this.#cutOff()
      return
    }
    const { status, headers, body } = answerTo(fault, this.#request.headers.accept)
    this.#count(status)
    this.#respond()
      .writeHead(status, { ...headers, connection: 'close' })
      .end(body)
  }

  #count(status: number): void {
    if (!this.#counted)
      this.#destination?.meter.request(Math.floor(status / 100), performance.now() - this.#sentAt)
    this.#counted = true
  }

  #cutOff(): void {
    this.#over = true
    clearTimeout(this.#holding)
    this.#socket.destroy()
  }

  #gone(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#holding)
    if (!this.#over) this.#stream?.reset(RESET.cancelled)
    this.#over = true
  }
}
