import { headerBlock } from '../src/http2/header-block.ts'
import { errorCode, FRAME_HEAD_BYTES, frameFlag, frameType } from '../src/http2/protocol.ts'

/** A frame as it came. */
export interface Frame {
  readonly type: keyof typeof frameType
  readonly flags: number
  readonly id: number
  readonly payload: Buffer
}

/** Header fields in their order; a name may be there twice. */
export type Fields = readonly (readonly [name: string, value: string])[]

const NOTHING = Buffer.alloc(0)
const { END_STREAM, END_HEADERS, ACK } = frameFlag

/** Any frame, wrong ones too. */
export function frame(
  type: number,
  flags: number,
  id: number,
  payload: Uint8Array | string = NOTHING,
): Buffer {
  const bytes = Buffer.from(payload)
  const head = Buffer.alloc(FRAME_HEAD_BYTES)
  head.writeUIntBE(bytes.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, bytes])
}

/** Numbers of 32 bits. */
export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => {
    bytes.writeUInt32BE(value, 4 * index)
  })
  return bytes
}

/** A header block that keeps nothing in tables. */
export const block = (fields: Fields): Buffer =>
  Buffer.concat(fields.map(([name, value]) => headerBlock({ [name]: value })))

/** What every request says at least, with this method and path. */
export const asking = (path = '/echo', method = 'POST'): Fields => [
  [':method', method],
  [':scheme', 'http'],
  [':path', path],
]

export const headers = (id: number, fields: Fields, flags: number = END_HEADERS): Buffer =>
  frame(frameType.HEADERS, flags, id, block(fields))

/** A request without content. */
export const request = (id: number, path?: string, more: Fields = []): Buffer =>
  headers(id, [...asking(path), ...more], END_HEADERS | END_STREAM)

/** A request whose content follows. */
export const opening = (id: number, path?: string, more: Fields = []): Buffer =>
  headers(id, [...asking(path), ...more])

export const data = (id: number, payload: Uint8Array | string = NOTHING, flags = 0): Buffer =>
  frame(frameType.DATA, flags, id, payload)

/** The last of a request's content. */
export const lastData = (id: number, payload?: Uint8Array | string): Buffer => data(id, payload, END_STREAM)

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = pairs.map(([id, value]) => Buffer.concat([Buffer.of(id >>> 8, id), uint32(value)]))
  return frame(frameType.SETTINGS, 0, 0, Buffer.concat(payload))
}

export const credit = (id: number, bytes: number): Buffer =>
  frame(frameType.WINDOW_UPDATE, 0, id, uint32(bytes))

export const reset = (id: number, code: number = errorCode.CANCEL): Buffer =>
  frame(frameType.RST_STREAM, 0, id, uint32(code))

export const ping = (payload: Uint8Array | string, flags = 0): Buffer =>
  frame(frameType.PING, flags, 0, payload)

export const pingAck = (payload: Uint8Array | string): Buffer => ping(payload, ACK)

export const goaway = (lastId: number, code: number = errorCode.NO_ERROR): Buffer =>
  frame(frameType.GOAWAY, 0, 0, uint32(lastId, code))

/** Reads frames in what comes, in whatever pieces. */
export function createFrameParser(take: (frame: Frame) => void): (piece: Uint8Array) => void {
  let left = NOTHING
  return (piece) => {
    left = Buffer.concat([left, piece])
    while (left.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + left.readUIntBE(0, 3)
      if (left.length < end) return
      const [type, flags, id] = [left.readUInt8(3), left.readUInt8(4), left.readUInt32BE(5)]
      const payload = Buffer.from(left.subarray(FRAME_HEAD_BYTES, end))
      left = left.subarray(end)
      take({ type: typeName(type), flags, id, payload })
    }
  }
}

/** The frames in these bytes, which are whole. */
export function framesIn(bytes: Uint8Array): Frame[] {
  const frames: Frame[] = []
  createFrameParser((one) => frames.push(one))(bytes)
  return frames
}

/** The name of an error code that is sent at this place. */
export const codeAt = (payload: Buffer, at = 0): string => nameIn(errorCode, payload.readUInt32BE(at))

const typeName = (type: number) => nameIn(frameType, type) as keyof typeof frameType

function nameIn(numbers: Readonly<Record<string, number>>, wanted: number): string {
  const found = Object.entries(numbers).find(([, number]) => number === wanted)
  if (!found) throw new Error(`${wanted} is nothing that the server says`)
  return found[0]
}
