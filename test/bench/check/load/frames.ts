/** The kinds of HTTP/2 frames that a client of unary calls meets (RFC 9113, section 6). */
export const kinds = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

/** Flags of frames; END_STREAM is of data and headers, ACK of settings and pings. */
export const flags = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8 } as const

/** A frame as it came. */
export interface Frame {
  readonly kind: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

const HEAD_BYTES = 9

/** A frame's bytes. */
export function frame(kind: number, flagged: number, streamId: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + payload.length)
  bytes.writeUIntBE(payload.length, 0, 3)
  bytes[3] = kind
  bytes[4] = flagged
  bytes.writeUInt32BE(streamId, 5)
  payload.copy(bytes, HEAD_BYTES)
  return bytes
}

/** Puts a connection's bytes together to frames, each shown as soon as it is whole. */
export function createFrameReader(onFrame: (frame: Frame) => void): (bytes: Buffer) => void {
  let rest: Buffer | undefined
  return (piece) => {
    const bytes = rest ? Buffer.concat([rest, piece]) : piece
    let at = 0
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + bytes.readUIntBE(at, 3)
      if (end > bytes.length) break
      onFrame({
        kind: bytes.readUInt8(at + 3),
        flags: bytes.readUInt8(at + 4),
        streamId: bytes.readUInt32BE(at + 5) & 0x7fffffff,
        payload: bytes.subarray(at + HEAD_BYTES, end),
      })
      at = end
    }
    rest = at < bytes.length ? bytes.subarray(at) : undefined
  }
}

/** Values of a settings frame. */
export function settingsOf(values: readonly (readonly [id: number, value: number])[]): Buffer {
  const bytes = Buffer.alloc(values.length * 6)
  for (const [index, [id, value]] of values.entries()) {
    bytes.writeUInt16BE(id, index * 6)
    bytes.writeUInt32BE(value, index * 6 + 2)
  }
  return bytes
}
