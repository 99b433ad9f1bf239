import { expect } from 'vitest'
import type { Answer } from './rest-client.ts'
import { expectJsonHeaders, expectRate } from './shapes.ts'

/** The documented table of errors: what a body's `error` says → HTTP status and `code`. */
const table = {
  validation_error: [400, 4000],
  unauthorized: [401, 4001],
  forbidden: [403, 4003],
  not_found: [404, 4004],
  request_timeout: [408, 4008],
  subdomain_taken: [400, 4009],
  conflict: [409, 4010],
  plan_limit: [403, 4013],
  payload_too_large: [413, 4014],
  unsupported_media_type: [415, 4015],
  rate_limited: [429, 4029],
  headers_too_large: [431, 4031],
  internal: [500, 5000],
  unavailable: [503, 5003],
  timeout: [504, 5004],
} as const

/** What a body may hold beside `error` and `code`. */
export interface ErrorRest {
  message: unknown
  fields?: unknown
  required_scope?: unknown
  retry_after?: unknown
}

/** Asserts the one error shape: status, every header, the whole body, and nothing of the inside in either. */
export function expectError(answer: Answer, error: keyof typeof table, rest: ErrorRest): void {
  const [status, code] = table[error]
  expect({ status: answer.status, body: answer.body }).toEqual({ status, body: { error, code, ...rest } })
  expectNothingOfTheInside(answer)
  const retryAfter = answer.headers['retry-after']
  expectJsonHeaders(answer, [
    ...(status === 401 ? ['www-authenticate'] : []),
    ...(answer.body.retry_after === undefined ? [] : ['retry-after']),
  ])
  if (status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer realm="instatunnel"')
  if (answer.body.retry_after !== undefined) expect(retryAfter).toBe(String(answer.body.retry_after))
}

/** The same where the call was admitted and so counted: what refuses is the service that it was for. */
export function expectCountedError(...refused: Parameters<typeof expectError>): void {
  expectError(...refused)
  expectRate(refused[0])
}

/** The refusal of a field, whose message is told twice. */
export const aField = (field: string, message: string): ErrorRest => ({
  message: `${field}: ${message}`,
  fields: [{ field, message }],
})

// Words of a stack, of SQL, of Postgres, of gRPC and of Envoy: none may reach a client.
const INSIDE =
  /TYPE_|type\.googleapis|\n\s+at |node:|node_modules|\.(ts|js|lua):\d|\b(select|insert into|update \w+ set|delete from)\b|postgres|\bpg_|sqlstate|ECONN|127\.0\.0\.1:\d|upstream|grpc|protobuf|proto field|undefined|\[object/i

/** That an answer tells nothing of how it was made. */
export const expectNothingOfTheInside = (answer: Answer) => expect(answer.text).not.toMatch(INSIDE)

/** A credential that is missing, wrong, expired, disabled or revoked: which of these is not said. */
export const expectUnauthorized = (answer: Answer) =>
  expectError(answer, 'unauthorized', { message: 'Invalid or missing API key' })

/** The credential is good, but not for this. */
export const expectScopeMissing = (answer: Answer, scope: string) =>
  expectError(answer, 'forbidden', {
    message: 'Insufficient permissions for this operation',
    required_scope: scope,
  })

const AWAY = 'The service is not available right now; try again shortly.'

/** What the gateway itself says where a service does not answer, or a service where what it stands on does not. */
export const expectUnavailable = (answer: Answer) =>
  expectError(answer, 'unavailable', { message: AWAY, ...(answer.body?.retry_after && { retry_after: 1 }) })

/** What a service says where another one, or the database, does not answer it. */
export const expectNeighbourAway = (answer: Answer, message = AWAY) =>
  expectError(answer, 'unavailable', { message, retry_after: 1 })
