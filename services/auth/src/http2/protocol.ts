/** What frames are for (RFC 9113 §6). */
export const frameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

/** What the flags of frames mean; a bit may say something else in frames of another type. */
export const frameFlag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const

/** What streams and connections are ended with (RFC 9113 §7). */
export const errorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const

/** One of them. */
export type ErrorCode = (typeof errorCode)[keyof typeof errorCode]

/** Settings by their numbers (RFC 9113 §6.5.2). */
export const setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const

/** What every client says first (RFC 9113 §3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** What stands before a frame's payload. */
export const FRAME_HEAD_BYTES = 9

/** No frame is longer where nobody has agreed on more, and we never do. */
export const MAX_FRAME_BYTES = 16_384

/** Until it is said otherwise, so much may be sent before it is credited; and windows never grow past this. */
export const FIRST_WINDOW = 65_535
export const MAX_WINDOW = 2 ** 31 - 1

/** No stream has a higher number. */
export const MAX_STREAM_ID = 2 ** 31 - 1

/** What a peer does that its connection cannot go on after. */
export class ConnectionError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string) {
    super(message)
    this.name = 'ConnectionError'
    this.code = code
  }
}

/** A peer does what RFC 9113 forbids, and no other code says better what. */
export const protocolError = (message: string) => new ConnectionError(errorCode.PROTOCOL_ERROR, message)

/** A frame is not as long as its type has it. */
export const wrongSize = (name: string) =>
  new ConnectionError(errorCode.FRAME_SIZE_ERROR, `${name} has the wrong size`)
