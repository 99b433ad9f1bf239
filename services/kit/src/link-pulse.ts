import { randomBytes } from 'node:crypto'
import { FRAME, FrameError } from './frames.ts'
import type { LinkOutlet } from './link-outlet.ts'

// Both sides say something this often, and one that has not been heard for four times in a row is gone: noticed within
// 8 s, the name is free for its owner within the 10 s that are promised.
const HEARTBEAT_MS = 1600
const SILENT_BEATS = 4
// A socket that takes nothing for so long, though it is alive, is not going to.
const STALLED_BEATS = 20
// Pings that are remembered: more than a stalled socket is given time.
const MAX_PINGS = 32
// Frames that carry nothing, between two heartbeats; who sends more has nothing else in mind.
const MAX_IDLE_FRAMES = 1000

/** What a link does with its pulse. */
export interface LinkPulseOptions {
  /** The other side is gone, or takes nothing. */
  onDead(end: 'lost' | 'stalled'): void
  /** A heartbeat of a link that lives. */
  onBeat(): void
  /** How long the other side took to send a ping back, in milliseconds. */
  readonly onPong: ((ms: number) => void) | undefined
}

/** Whether the other side of a link is there, takes what is sent, and says more than nothing. */
export class LinkPulse {
  readonly #outlet: LinkOutlet
  readonly #options: LinkPulseOptions
  readonly #timer: NodeJS.Timeout
  /** When each ping left that was not answered yet, by what it says, which nobody guesses. */
  readonly #pings = new Map<bigint, number>()
  #heard = true
  #silentBeats = 0
  #stalledBeats = 0
  #idleFrames = 0

  constructor(outlet: LinkOutlet, options: LinkPulseOptions) {
    this.#outlet = outlet
    this.#options = options
    this.#timer = setInterval(() => this.#beat(), HEARTBEAT_MS)
  }

  /** The other side has said something. */
  heard(): void {
    this.#heard = true
  }

  /** One more frame that carries nothing. */
  idled(): void {
    if (++this.#idleFrames > MAX_IDLE_FRAMES) throw new FrameError('nothing but empty frames')
  }

  /** Asks the other side to answer. */
  ping(): void {
    const payload = randomBytes(8)
    if (this.#pings.size >= MAX_PINGS) this.#pings.clear()
    this.#pings.set(payload.readBigUInt64BE(), performance.now())
    this.#outlet.frame(FRAME.ping, 0, payload)
  }

  /** The other side has answered. */
  ponged(payload: Buffer): void {
    const ping = payload.length === 8 ? payload.readBigUInt64BE() : 0n
    const sentAt = this.#pings.get(ping)
    if (sentAt === undefined) return
    this.#pings.delete(ping)
    // It has taken all that was sent before, although the socket may count that in one piece.
    this.#stalledBeats = 0
    this.#options.onPong?.(performance.now() - sentAt)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #beat(): void {
    this.#idleFrames = 0
    this.#silentBeats = this.#heard ? 0 : this.#silentBeats + 1
    this.#heard = false
    if (this.#silentBeats >= SILENT_BEATS) {
      this.#options.onDead('lost')
      return
    }
    this.#stalledBeats = this.#outlet.isStuck() ? this.#stalledBeats + 1 : 0
    if (this.#stalledBeats >= STALLED_BEATS) {
      this.#options.onDead('stalled')
      return
    }
    this.#options.onBeat()
    this.ping()
  }
}
