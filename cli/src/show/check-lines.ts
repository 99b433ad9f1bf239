import type { ExplainKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import type { Json } from '../calls/json.ts'
import type { Output } from '../output.ts'
import { printable } from '../terminal-text.ts'

/** The checks that a request would meet, a line each, and what would become of it; those past the stop are dimmed. */
export function checkLines(
  { allowed, stopped_at, checks }: Json<ExplainKeyResponse>,
  { style }: Pick<Output, 'style'>,
): string[] {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const stop = stopped_at === undefined ? checks.length : checks.findIndex(({ name }) => name === stopped_at)
  const lines = checks.map(({ name, passed, message }, index) => {
    const line = `${passed ? '✅' : '❌'} ${name.padEnd(width)}  ${printable(message)}`
    return index > stop ? style('dim', line) : line
  })
  return [...lines, allowed ? 'The request would be admitted' : `The request would stop at ${stopped_at}`]
}
