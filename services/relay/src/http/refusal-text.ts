import { STATUS_CODES } from 'node:http'
import { answerTo, type VisitorFault } from '../domain/visitor-error.ts'

/**
 * A refusal as bytes of HTTP/1.1, after which the connection ends. It is for where node:http has no answer to write it with:
 * one whose writeHead has thrown keeps a part of what it was given, and would spoil the refusal too.
 */
export function refusalText(
  fault: VisitorFault,
  { accept, isHead = false }: { accept?: string | undefined; isHead?: boolean } = {},
): string {
  const { status, headers, body } = answerTo(fault, accept)
  const lines = Object.entries({ ...headers, connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}`,
  )
  return [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', isHead ? '' : body].join('\r\n')
}
