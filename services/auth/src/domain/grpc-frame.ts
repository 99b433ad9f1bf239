import { Refusal } from '@instatunnel/kit/refusal'

/** What stands before a message of gRPC: a flag and its length (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
export const PREFIX_BYTES = 5

/** The longest message that is read: the gateway takes 32 KiB of headers, and Check tells little more. */
export const MAX_MESSAGE_BYTES = 128 * 1024

/** Writes the prefix of a message of so many bytes. */
export function writePrefix(frame: Buffer, length: number): void {
  frame[0] = 0
  frame.writeUInt32BE(length, 1)
}

/** Puts the prefix before a message. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
  writePrefix(frame, message.length)
  frame.set(message, PREFIX_BYTES)
  return frame
}

/** Gathers the one message of a call from the pieces that it comes in, and refuses what no rpc of ours takes. */
export class Gathering {
  // What Envoy sends is in one piece, which is then never copied.
  #bytes: Buffer = NOTHING
  #filled = 0

  add(piece: Buffer): void {
    const filled = this.#filled + piece.length
    if (this.#filled === 0) {
      this.#bytes = piece
    } else {
      if (filled > this.#bytes.length) this.#grow(filled)
      this.#bytes.set(piece, this.#filled)
    }
    this.#filled = filled
    if (filled < PREFIX_BYTES) return
    if (this.#bytes[0] !== 0) throw compressed()
    const length = this.#bytes.readUInt32BE(1)
    if (length > MAX_MESSAGE_BYTES) throw tooLong()
    if (filled > PREFIX_BYTES + length) throw notOneMessage()
  }

  /** The message, once the caller has nothing more to say. */
  message(): Buffer {
    if (this.#filled < PREFIX_BYTES || this.#filled < PREFIX_BYTES + this.#bytes.readUInt32BE(1)) {
      throw notOneMessage()
    }
    return this.#bytes.subarray(PREFIX_BYTES, this.#filled)
  }

  /** Doubles: a message that comes byte by byte costs no more than twice its length. */
  #grow(atLeast: number): void {
    const larger = Buffer.allocUnsafe(Math.max(atLeast, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.#filled))
    this.#bytes = larger
  }
}

const NOTHING = Buffer.alloc(0)

const compressed = () => new Refusal('MESSAGE_COMPRESSED', 'Messages are not compressed here')
const tooLong = () => new Refusal('MESSAGE_TOO_LONG', `A message is at most ${MAX_MESSAGE_BYTES} bytes long`)
const notOneMessage = () => new Refusal('UNREADABLE_REQUEST', 'The request is not one message')
