import type { Duplex } from 'node:stream'
import { RESET } from '@instatunnel/kit/frames'
import type { GoawayReason } from '@instatunnel/kit/goaway'
import {
  Link,
  type LinkEnd,
  type LinkStream,
  type StreamHolder,
  type StreamSink,
} from '@instatunnel/kit/link'
import { Exchange, type ExchangeDeps } from './exchange.ts'
import { readRequestHead } from './request-head.ts'
import { UpgradeExchange } from './upgrade-exchange.ts'

/** Requests, and WebSockets beside them, that go on at once on one connection; past it the relay is told so. */
const MAX_AT_ONCE = 1024
const LOOK_MS = 20

/** What a session needs. */
export interface SessionOptions extends ExchangeDeps {
  readonly socket: Duplex
  /** What came together with the answer to the upgrade. */
  readonly early: Buffer
  /** What the local server is told for a Host; undefined for what the visitor said. */
  readonly host: string | undefined
  readonly onLatency: (ms: number) => void
  /** Something of ours went wrong with one request, which was given up. */
  readonly onFault: (error: unknown) => void
}

/** How it came to an end: the reason that the relay gave, or how the link ended without one. */
export type Parting = { readonly goaway: string } | { readonly end: LinkEnd }

/** One connection to a relay while it lives. */
export interface Session {
  /** Resolves once the relay sends no more requests on it. */
  readonly parted: Promise<Parting>
  /** Requests in flight. */
  readonly streams: number
  /** Tells the relay to send no more requests. */
  leave(): void
  /** Lets what is in flight finish, so long at most, and ends. */
  finish(limitMs: number): Promise<void>
  /** Ends at once. */
  destroy(): void
}

/** Serves a relay's requests from the local server. */
export function openSession(options: SessionOptions): Session {
  const parted = Promise.withResolvers<Parting>()
  const serving = { ...options, requests: new Tally(), upgrades: new Tally() }
  const link: Link = new Link(options.socket, {
    onOpen: (stream, head, ends) => serve(serving, stream, head, ends),
    onGoaway: (goaway) => parted.resolve({ goaway }),
    onEnd: (end) => parted.resolve({ end }),
    onPong: options.onLatency,
    onFault: options.onFault,
  })
  link.begin(options.early)
  link.ping() // the first latency, long before the first heartbeat's
  return {
    parted: parted.promise,
    get streams() {
      return link.size
    },
    leave: () => link.goaway('leaving'),
    finish: async (limitMs) => {
      const until = performance.now() + limitMs
      while (link.size > 0 && performance.now() < until)
        await new Promise((done) => setTimeout(done, LOOK_MS))
      link.close('leaving' satisfies GoawayReason)
    },
    destroy: () => link.destroy(),
  }
}

function serve(
  options: SessionOptions & { requests: Tally; upgrades: Tally },
  stream: LinkStream,
  text: string,
  ends: boolean,
): StreamSink {
  const head = readRequestHead(text, { ends, host: options.host })
  if (!head) return refuse(stream, RESET.local_broken, 'the request is no HTTP')
  const tally = head.upgrades ? options.upgrades : options.requests
  if (tally.count >= MAX_AT_ONCE) return refuse(stream, RESET.too_many, 'too many requests at once')
  tally.count++
  stream.holder = tally
  return head.upgrades
    ? new UpgradeExchange(options, stream, head)
    : new Exchange(options, stream, head, ends)
}

/** How many of a kind go on. */
class Tally implements StreamHolder {
  count = 0

  released(): void {
    this.count--
  }
}

function refuse(stream: LinkStream, code: number, message: string): StreamSink {
  stream.reset(code, message)
  return NOBODY
}

const ignore = () => {}
const NOBODY: StreamSink = { head: ignore, data: ignore, trailers: ignore, reset: ignore, writable: ignore }
