import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { RESET, WINDOW_BYTES } from '@instatunnel/kit/frames'
import type { LinkStream, StreamSink } from '@instatunnel/kit/link'
import type { Destination } from '../destination.ts'
import { type AnswerHead, readAnswer, readTrailers } from '../domain/head.ts'
import { faultOfHead, faultOfReset, statusOf, type VisitorFault } from '../domain/visitor-error.ts'
import { headText } from './head-text.ts'
import { IdleTimer } from './idle-timer.ts'
import { refusalText } from './refusal-text.ts'
import { AGAIN_MS, type Outgoing, stallMs, type VisitDeps } from './visit.ts'

/** To the gateway, which passes no other answer to a handshake than 101 and 4xx or 5xx: the status that the site gave. */
const STATUS_HEADER = 'x-instatunnel-status'

/** One visitor that asks to switch to another protocol, WebSocket for one: from then on bytes pass as they are. */
export class UpgradeVisit implements StreamSink {
  readonly #deps: VisitDeps
  readonly #request: IncomingMessage
  readonly #socket: Duplex
  /** What the visitor has sent before it was answered. */
  #early: Buffer[] = []
  #earlyBytes = 0
  readonly #outgoing: Outgoing
  #destination: Destination | undefined
  #stream: LinkStream | undefined
  /** While it is the local server's turn to answer, or to take what is sent. */
  readonly #timer = new IdleTimer(() => this.#tooSlow())
  /** Once the visitor has ended its side. */
  readonly #linger = new IdleTimer(() => this.#broken())
  #retry: NodeJS.Timeout | undefined
  #held = false
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
    this.#outgoing = outgoing
    socket.on('error', () => this.#gone())
    socket.on('close', () => this.#gone())
    socket.on('drain', () => this.#drained())
    socket.on('end', () => this.#visitorEnded())
    // Read from the beginning: of a socket that is not read the end is not seen either.
    socket.on('data', (chunk: Buffer) => this.#heard(chunk))
    if (early.length > 0) this.#heard(early)
  }

  /** Looks for where the request goes, and sends it there. */
  async start(): Promise<void> {
    const { subdomain, head, hasBody } = this.#outgoing
    if (hasBody) {
      this.#fail('unreadable') // its bytes would be taken for the protocol's that is switched to
      return
    }
    const found = await Promise.resolve(
      subdomain === undefined ? 'unknown' : this.#deps.find(subdomain, this.#outgoing),
    ).catch(() => 'unavailable' as const)
    if (this.#over) return
    if (typeof found === 'string') {
      this.#fail(found)
      return
    }
    this.#destination = found
    this.#tries++
    this.#sentAt = performance.now()
    const stream = found.carrier.open(head, false, this, this.#outgoing)
    if (typeof stream !== 'object') {
      this.#fail(stream ?? faultOfHead(head))
      return
    }
    this.#stream = stream
    this.#timer.start(this.#timeoutMs)
  }

  head(text: string, end: boolean): void {
    const answer = readAnswer(text, this.#deps.domain, this.#request.method ?? '')
    if (!answer || this.#switched || this.#answer) {
      this.#broken()
      return
    }
    if (answer.status !== 101 && answer.status < 200) {
      this.#timer.moved()
      return
    }
    this.#timer.stop()
    if (answer.status !== 101) this.#answered(answer, end)
    else if (end || !this.#isAsked(answer.upgrade)) this.#broken()
    else this.#switch(answer)
  }

  data(chunk: Buffer, end: boolean): void {
    if (this.#over) return
    this.#timer.moved()
    this.#linger.moved()
    this.#destination?.meter.bytesOut(chunk.length)
    if (this.#switched) {
      this.#write(this.#socket, chunk)
      if (end) this.#socket.end()
    } else if (this.#answer) this.#writeAnswer(chunk, end)
    else this.#broken()
  }

  trailers(text: string): void {
    const trailers = readTrailers(text)
    if (!this.#answer || this.#answer.left || !trailers) {
      this.#broken()
      return
    }
    try {
      this.#answer.response.addTrailers(trailers)
    } catch {
      this.#broken()
      return
    }
    this.#finish(this.#answer.response)
  }

  reset(code: number): void {
    if (this.#over) return
    this.#timer.stop()
    if (this.#switched || this.#answer) this.#cutOff()
    else if ((code === RESET.refused || code === RESET.lost) && this.#tries < 3) this.#again(code)
    else this.#fail(faultOfReset(code))
  }

  writable(): void {
    if (!this.#held || !this.#switched) return
    this.#held = false
    this.#timer.stop()
    this.#socket.resume()
  }

  credited(): void {
    this.#timer.moved()
  }

  get #timeoutMs(): number {
    return this.#destination?.responseTimeoutMs ?? this.#deps.responseTimeoutMs
  }

  /** A server switches to what was asked for, or to nothing (RFC 9110, section 7.8). */
  #isAsked(upgrade = ''): boolean {
    const asked = (this.#request.headers.upgrade ?? '').toLowerCase().split(',')
    return asked.some((protocol) => protocol.trim() === upgrade.toLowerCase())
  }

  /** Nothing has been answered, and nothing was sent but the question: another agent may be asked. */
  #again(code: number): void {
    const again = () => this.start().catch(() => this.#cutOff())
    if (code === RESET.lost) again()
    else this.#retry = setTimeout(again, AGAIN_MS)
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
    if (this.#held) this.writable()
    for (const chunk of this.#early) this.#send(chunk)
    this.#early = []
  }

  #heard(chunk: Buffer): void {
    if (this.#switched) this.#send(chunk)
    else if (!this.#answer && !this.#over) {
      // It may be that much ahead of the answer, as it may be ahead of the local server afterwards.
      this.#early.push(chunk)
      this.#earlyBytes += chunk.length
      if (this.#earlyBytes >= WINDOW_BYTES) this.#hold()
    }
  }

  #send(chunk: Buffer): void {
    this.#destination?.meter.bytesIn(chunk.length)
    if (this.#stream?.send(chunk) === false) this.#hold()
  }

  /** Who is not read is not noticed to have gone: what stays held is given up. */
  #hold(): void {
    this.#held = true
    this.#socket.pause()
    this.#timer.start(stallMs(this.#timeoutMs))
  }

  #visitorEnded(): void {
    if (this.#switched) {
      this.#stream?.end()
      this.#linger.start(this.#deps.lingerMs)
    } else if (!this.#answer && !this.#over) this.#socket.destroy() // it waits for no answer
  }

  /** True where an answer to an earlier request is not finished: behind it nothing can be said. */
  get #isTaken(): boolean {
    return Boolean((this.#socket as { _httpMessage?: unknown })._httpMessage)
  }

  /** The local server keeps to HTTP: its answer goes out as to any request, and the connection with it. */
  #answered({ status, reason, headers, contentLength, isBodiless }: AnswerHead, end: boolean): void {
    const left = isBodiless ? 0 : contentLength
    if (this.#isTaken || (end && left)) {
      this.#broken()
      return
    }
    const response = this.#respond()
    this.#early = []
    this.#socket.resume()
    const told = status < 400 ? [...headers, STATUS_HEADER, String(status)] : headers
    try {
      response.writeHead(status < 400 ? 502 : status, reason, [...told, 'connection', 'close'])
    } catch {
      response.detachSocket(this.#socket as never)
      this.#broken()
      return
    }
    this.#answer = { response, left }
    this.#count(status)
    if (end) this.#finish(response)
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
    if (end) this.#finish(answer.response, chunk)
    else this.#write(answer.response, chunk)
  }

  /** The answer is whole. In the other direction the stream is open still, and nothing more comes in it. */
  #finish(response: ServerResponse, last?: Buffer): void {
    this.#close()
    this.#stream?.end()
    response.end(last)
  }

  #write(to: Duplex | ServerResponse, chunk: Buffer): void {
    const taken = chunk.length === 0 || to.write(chunk)
    if (taken) this.#stream?.consumed(chunk.length)
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
    response.on('finish', () => this.#socket.end())
    return response
  }

  #tooSlow(): void {
    this.#stream?.reset(RESET.too_slow)
    if (this.#switched || this.#answer) this.#cutOff()
    else this.#fail('too_slow')
  }

  #broken(): void {
    this.#stream?.reset(RESET.cancelled)
    if (this.#switched || this.#answer) this.#cutOff()
    else this.#fail('local_broken')
  }

  #fail(fault: VisitorFault): void {
    if (this.#over) return
    this.#timer.stop()
    if (this.#isTaken) {
      this.#cutOff()
      return
    }
    const { accept } = this.#request.headers
    this.#close()
    this.#socket.resume()
    this.#socket.end(refusalText(fault, { accept, isHead: this.#request.method === 'HEAD' }))
    this.#count(statusOf(fault))
  }

  #count(status: number): void {
    if (!this.#counted)
      this.#destination?.meter.request(Math.floor(status / 100), performance.now() - this.#sentAt)
    this.#counted = true
  }

  #cutOff(): void {
    this.#close()
    this.#socket.destroy()
  }

  #close(): void {
    this.#over = true
    this.#timer.stop()
    this.#linger.stop()
    clearTimeout(this.#retry)
    this.#early = []
  }

  #gone(): void {
    if (!this.#over) this.#stream?.reset(RESET.cancelled)
    this.#close()
  }
}
