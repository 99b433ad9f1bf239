import type { Answer } from './answer-parser.ts'

/** An answer's head, as its frame has it. */
export function answerHead({ status, reason, headers }: Answer): string {
  return headers.length === 0 ? `${status}\n${reason}` : `${status}\n${reason}\n${headers.join('\n')}`
}

/** How many bytes of body follow an answer's head; undefined where its end is told otherwise. */
export function bodyLength(method: string, { status, headers }: Answer): number | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    // The parser refuses a second one, and one beside chunks.
    if (name.length === 14 && name.toLowerCase() === 'content-length') return Number(headers[i + 1])
  }
  return undefined
}
