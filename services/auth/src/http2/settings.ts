import {
  ConnectionError,
  type ErrorCode,
  errorCode,
  MAX_FRAME_BYTES,
  MAX_WINDOW,
  setting,
  wrongSize,
} from './protocol.ts'

/** What of a peer's settings matters to a server that pushes nothing, keeps no table and writes no long frames. */
export interface PeerSettings {
  /** It has said how large a table may be. */
  readonly setsTable: boolean
  readonly initialWindowSize: number | undefined
}

/** Reads the payload of a SETTINGS frame; throws where it says what may not be said (RFC 9113 §6.5). */
export function readSettings(bytes: Buffer, start: number, end: number): PeerSettings {
  if ((end - start) % PAIR_BYTES !== 0) throw wrongSize('SETTINGS')
  let setsTable = false
  let initialWindowSize: number | undefined
  for (let at = start; at < end; at += PAIR_BYTES) {
    const value = bytes.readUInt32BE(at + 2)
    switch (bytes.readUInt16BE(at)) {
      case setting.HEADER_TABLE_SIZE:
        setsTable = true
        break
      case setting.ENABLE_PUSH:
        if (value > 1) throw wrong('ENABLE_PUSH')
        break
      case setting.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW) throw wrong('INITIAL_WINDOW_SIZE', errorCode.FLOW_CONTROL_ERROR)
        initialWindowSize = value
        break
      case setting.MAX_FRAME_SIZE:
        if (value < MAX_FRAME_BYTES || value >= 2 ** 24) throw wrong('MAX_FRAME_SIZE')
    }
  }
  return { setsTable, initialWindowSize }
}

const PAIR_BYTES = 6

const wrong = (name: string, code: ErrorCode = errorCode.PROTOCOL_ERROR) =>
  new ConnectionError(code, `${name} cannot be that`)
