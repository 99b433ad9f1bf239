import type { FrameHead } from './frame-reader.ts'
import { frameType, protocolError, wrongSize } from './protocol.ts'

/** Throws where a frame is of the wrong stream, or has a length that no frame of its type has (RFC 9113 §6). */
export function checkFrame({ type, streamId }: FrameHead, length: number): void {
  const rule = RULES[type]
  if (!rule) return
  if (rule.ofConnection !== undefined && rule.ofConnection !== (streamId === 0)) {
    throw protocolError('a frame is of the wrong stream')
  }
  if (length < rule.atLeast || length > rule.atMost) throw wrongSize(`frame ${type}`)
}

interface FrameRule {
  /** Whether it is of the connection or of a stream; undefined where it may be of both. */
  readonly ofConnection: boolean | undefined
  readonly atLeast: number
  readonly atMost: number
}

const rule = (ofConnection: boolean | undefined, atLeast: number, atMost = atLeast): FrameRule => ({
  ofConnection,
  atLeast,
  atMost,
})

const ANY = Number.POSITIVE_INFINITY
// By their types. Of frames that there are not, anything goes.
const RULES: readonly FrameRule[] = Object.values<FrameRule>({
  [frameType.DATA]: rule(false, 0, ANY),
  [frameType.HEADERS]: rule(false, 0, ANY),
  [frameType.PRIORITY]: rule(false, 5),
  [frameType.RST_STREAM]: rule(false, 4),
  [frameType.SETTINGS]: rule(true, 0, ANY),
  [frameType.PUSH_PROMISE]: rule(false, 0, ANY),
  [frameType.PING]: rule(true, 8),
  [frameType.GOAWAY]: rule(true, 8, ANY),
  [frameType.WINDOW_UPDATE]: rule(undefined, 4),
  [frameType.CONTINUATION]: rule(false, 0, ANY),
})
