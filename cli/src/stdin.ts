import { UsageError } from './exit.ts'
import type { Streams } from './output.ts'

/** No secret is longer. */
const maxLength = 4096

/** Reads secrets from a pipe, a line each; `whats` names them in refusals. */
export async function readSecrets(streams: Streams, whats: readonly string[]): Promise<string[]> {
  const lines = (await readSecret(streams, whats.join(' and the '))).split(/\r?\n/)
  for (const [index, what] of whats.entries())
    if (!lines[index]) throw new UsageError(`There is no ${what} on line ${index + 1} of standard input`)
  if (lines.length > whats.length)
    throw new UsageError('There are more lines on standard input than secrets to read')
  return lines
}

/** Reads a secret from a pipe: all of standard input, but for the line's end. `what` names it in refusals. */
export async function readSecret({ in: input }: Streams, what: string): Promise<string> {
  if (input.isTTY)
    throw new UsageError(`The ${what} is read from a pipe here, and standard input is a terminal`)
  input.setEncoding('utf8')
  let text = ''
  for await (const chunk of input) {
    text += chunk
    if (text.length > maxLength) throw new UsageError(`The ${what} on standard input is too long`)
  }
  const secret = text.replace(/\r?\n$/, '')
  if (secret === '') throw new UsageError(`There is no ${what} on standard input`)
  return secret
}
