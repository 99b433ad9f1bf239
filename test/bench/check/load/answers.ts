import { CheckResponse } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'

/** What every answer of a lane must say: anything else ends the run. */
export type Expected = 'admitted' | 'refused' | 'valid'

/** Which answers are right. Those that are expected over and over are looked at as they lie in their bytes. */
export const isRight: Readonly<Record<Expected, (answer: Buffer) => boolean>> = {
  /** A Check that lets the call pass and gives it a header: an identity. */
  admitted(answer) {
    const ok = fieldOf(answer, CHECK_OK)
    return ok !== undefined && fieldOf(ok, OK_HEADERS) !== undefined
  },
  /** A Check that says no, to a wrong credential or to one too many of them. */
  refused(answer) {
    const { httpResponse } = CheckResponse.decode(answer)
    if (httpResponse?.$case !== 'deniedResponse') return false
    const status: number | undefined = httpResponse.value.status?.code
    return status === 401 || status === 429
  },
  /** A VerifyKey that says so, in its first field. */
  valid: (answer) => answer[0] === VALID_TAG && answer[1] === 1,
}

const CHECK_OK = 3
const OK_HEADERS = 2
const VALID_TAG = 0x08
const LENGTH_DELIMITED = 2

/** The bytes of a message's field, where it has it; the messages in question have fields with a length only. */
function fieldOf(message: Buffer, wanted: number): Buffer | undefined {
  for (let at = 0; at < message.length; ) {
    const tag = message[at++] ?? 0
    if ((tag & 7) !== LENGTH_DELIMITED) return undefined
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] ?? 0
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    if (tag >> 3 === wanted) return message.subarray(at, at + length)
    at += length
  }
  return undefined
}
