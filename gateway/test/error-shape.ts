import { expect } from 'vitest'
import type { RawAnswer } from './raw-http.ts'

/** The error shape as it is written: order and all. */
export const errorBody = (error: string, code: number, message: string) =>
  JSON.stringify({ error, message, code })

/** The error shape where no place is free. */
const fullBody = (message: string) =>
  JSON.stringify({ error: 'unavailable', message, code: 5003, retry_after: 1 })

/** The error shape of one field. */
export const fieldBody = (field: string, message: string) =>
  JSON.stringify({
    error: 'validation_error',
    message: `${field}: ${message}`,
    code: 4000,
    fields: [{ field, message }],
  })

/** What the gateway itself answers. */
export const answers = {
  badHttp: [400, errorBody('validation_error', 4000, 'The request is not valid HTTP.')],
  oldHttp: [400, errorBody('validation_error', 4000, 'HTTP/1.1 or HTTP/2 is needed.')],
  forbidden: [403, errorBody('forbidden', 4003, 'This is not allowed.')],
  noSuchPath: [404, errorBody('not_found', 4004, 'There is nothing at this path.')],
  smallUnfinished: [
    408,
    errorBody('request_timeout', 4008, 'The request did not come whole within 3 seconds.'),
  ],
  unfinished: [408, errorBody('request_timeout', 4008, 'The request did not come whole within 10 seconds.')],
  tooLarge: [413, errorBody('payload_too_large', 4014, 'The body is larger than 1 MiB.')],
  mediaType: [415, errorBody('unsupported_media_type', 4015, 'The body must be application/json.')],
  headersTooLarge: [
    431,
    errorBody('headers_too_large', 4031, 'The headers are larger than 32 KiB or more than 100.'),
  ],
  internal: [500, errorBody('internal', 5000, 'Something went wrong on our side.')],
  transferEncoding: [501, errorBody('unimplemented', 5001, 'This transfer encoding is not supported.')],
  unavailable: [
    503,
    errorBody('unavailable', 5003, 'The service is not available right now; try again shortly.'),
  ],
  full: [503, fullBody('The service is not available right now; try again shortly.')],
  signInsFull: [503, fullBody('Too many passwords are being checked right now; try again shortly')],
  timeout: [504, errorBody('timeout', 5004, 'The service did not answer in time; try again.')],
} as const satisfies Record<string, readonly [number, string]>

/** What no answer may carry. */
const ofTheInside = /^(server|via|grpc-|x-envoy-|x-instatunnel-|trailer$)/

/** Asserts status, whole body and the headers that every answer has, and that nothing of the inside is told. */
export function expectAnswer(answer: RawAnswer, [status, body]: readonly [number, string]): void {
  expect(answer.body).toBe(body)
  expect(answer.status).toBe(status)
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(body)))
  expect(Object.keys(answer.headers).filter((name) => ofTheInside.test(name))).toEqual([])
}
