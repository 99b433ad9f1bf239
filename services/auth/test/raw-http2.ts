import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { frameFlag, PREFACE } from '../src/http2/protocol.ts'
import { createHappenings, type Happenings } from './happenings.ts'
import { codeAt, createFrameParser, type Frame, ping, settings, uint32 } from './http2-frames.ts'

/** What a client says first, where it sets nothing. */
export const GREETING = Buffer.concat([PREFACE, settings()])

/** A client that says whatever bytes it is told to, and keeps the frames that come back. */
export class RawPeer {
  readonly socket: Socket
  /** What came and was not asked for yet. */
  frames: Frame[] = []
  /** The server says nothing more. */
  isEnded = false
  readonly until: Happenings['until']
  #pings = 0

  constructor(socket: Socket) {
    this.socket = socket
    const { happened, until } = createHappenings()
    this.until = until
    const parse = createFrameParser((one) => this.frames.push(one))
    socket.on('data', (piece) => {
      parse(piece)
      happened()
    })
    // A connection that is reset has ended as well.
    socket.on('error', () => {})
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.isEnded = true
        happened()
      })
    }
  }

  /** Says all of this in one piece. */
  say(...bytes: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(bytes))
  }

  /** What came until the server has handled all that was said, or has ended the connection. */
  async heard(): Promise<Frame[]> {
    const payload = uint32(0x70696e67, ++this.#pings)
    this.say(ping(payload))
    const isAck = ({ type, payload: echoed }: Frame) => type === 'PING' && echoed.equals(payload)
    await this.until(() => this.isEnded || this.frames.some(isAck))
    return this.take().filter((one) => !isAck(one))
  }

  /** What has come. */
  take(): Frame[] {
    return this.frames.splice(0)
  }

  /** What the server has against what was said: the streams and the connection that it broke off. */
  async verdict(): Promise<string> {
    const frames = await this.heard()
    const said = frames.flatMap(({ type, id, payload }) => {
      if (type === 'RST_STREAM') return [`stream ${id}: ${codeAt(payload)}`]
      return type === 'GOAWAY' ? [`connection: ${codeAt(payload, 4)}`] : []
    })
    if (this.isEnded && !said.some((one) => one.startsWith('connection'))) said.push('ended')
    return said.join(', ') || 'nothing'
  }

  /** The content that came on each stream, and whether it ended. */
  static answers(frames: readonly Frame[]): Map<number, { bytes: number; isEnded: boolean }> {
    const answers = new Map<number, { bytes: number; isEnded: boolean }>()
    for (const { type, flags, id, payload } of frames) {
      if (type !== 'HEADERS' && type !== 'DATA') continue
      const answer = answers.get(id) ?? { bytes: 0, isEnded: false }
      if (type === 'DATA') answer.bytes += payload.length
      if (flags & frameFlag.END_STREAM) answer.isEnded = true
      answers.set(id, answer)
    }
    return answers
  }
}

/** A client that has said this, and heard the server's greeting if that was right. */
export async function rawPeer(port: number, greeting: Uint8Array = GREETING): Promise<RawPeer> {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  await once(socket, 'connect')
  const peer = new RawPeer(socket)
  peer.say(greeting)
  return peer
}
