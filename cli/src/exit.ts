import { jsonText, printable } from './terminal-text.ts'

/** The command's exit codes. */
export const exitCodes = { done: 0, refused: 1, usage: 2, notReachable: 3 } as const

/** The API said no: what it answered, as its error shape has it. */
export class ApiError extends Error {
  readonly status: number
  readonly answer: ApiErrorAnswer

  constructor(status: number, answer: ApiErrorAnswer) {
    super(answer.message)
    this.status = status
    this.answer = answer
  }
}

/** The API's error shape. */
export interface ApiErrorAnswer {
  readonly error: string
  readonly message: string
  readonly code: number
  readonly required_scope?: string
  readonly retry_after?: number
  readonly fields?: readonly { readonly field: string; readonly message: string }[]
}

/** The command itself says no, e.g. because nobody is logged in; `more` is told to programs. */
export class Refused extends Error {
  readonly error: string
  readonly more: object

  constructor(error: string, message: string, more: object = {}) {
    super(message)
    this.error = error
    this.more = more
  }
}

/** What was typed, or set in the environment, is not acceptable. */
export class UsageError extends Error {}

/** The API did not answer, or something else answered in its place. */
export class NotReachable extends Error {}

/** How a failure is told: the exit code, a line for people, and JSON for programs. */
export interface Failure {
  readonly exitCode: number
  readonly line: string
  readonly json: object
}

/** Says on standard error why the command fails, as a line or as JSON, and returns its exit code. */
export function reportFailure(
  error: unknown,
  { json, err }: { json: boolean; err: NodeJS.WritableStream },
): number {
  const failure = failureOf(error)
  err.write(json ? `${jsonText(failure.json)}\n` : `❌ ${printable(failure.line)}\n`)
  return failure.exitCode
}

/** Maps whatever was thrown; the one place that does. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ApiError) {
    const exitCode = error.status === 503 || error.status === 504 ? exitCodes.notReachable : exitCodes.refused
    return { exitCode, line: lineOf(error.answer), json: error.answer }
  }
  if (error instanceof Refused) return failure(exitCodes.refused, error.error, error.message, error.more)
  if (error instanceof UsageError) return failure(exitCodes.usage, 'usage', error.message)
  if (error instanceof NotReachable) return failure(exitCodes.notReachable, 'not_reachable', error.message)
  const message = error instanceof Error ? error.message : String(error)
  return failure(exitCodes.refused, 'internal', message)
}

const failure = (exitCode: number, error: string, line: string, more?: object): Failure => ({
  exitCode,
  line,
  json: { error, message: line, ...more },
})

/** The message with what helps to do better: the scope that is missing, how long to wait. */
function lineOf({ message, required_scope, retry_after }: ApiErrorAnswer): string {
  const scope = required_scope === undefined ? '' : ` (needs ${required_scope})`
  const wait = retry_after === undefined ? '' : ` (try again in ${retry_after} s)`
  return `${message}${scope}${wait}`
}
