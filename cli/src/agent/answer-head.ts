/** What stands in front of an answer's body. */
export interface Answer {
  readonly statusCode?: number | undefined
  readonly statusMessage?: string | undefined
  /** Names and values in turns. */
  readonly rawHeaders: readonly string[]
}

/** An answer's head, as its frame has it. */
export function answerHead({ statusCode, statusMessage, rawHeaders }: Answer): string {
  const status = `${statusCode}\n${statusMessage ?? ''}`
  return rawHeaders.length === 0 ? status : `${status}\n${rawHeaders.join('\n')}`
}

/** How many bytes of body follow an answer's head; undefined where its end is told otherwise. */
export function bodyLength(method: string, { statusCode, rawHeaders }: Answer): number | undefined {
  if (method === 'HEAD' || statusCode === 204 || statusCode === 304) return 0
  let length: number | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    // Chunked goes before a length: node:http refuses both at once, from whoever sends them.
    if (name.length === 14 && name.toLowerCase() === 'content-length') length = Number(rawHeaders[i + 1])
  }
  return length
}
