import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { ApiError, NotReachable, Refused, reportFailure, UsageError } from './exit.ts'

async function reported(error: unknown, json = false) {
  const err = new PassThrough()
  const exitCode = reportFailure(error, { json, err })
  err.end()
  return [exitCode, await text(err)]
}

const limited = { error: 'rate_limited', message: 'API rate limit exceeded', code: 4029, retry_after: 60 }
const missing = { error: 'forbidden', message: 'Insufficient permissions', code: 4003, required_scope: 'a:b' }
const away = { error: 'unavailable', message: 'The service is away', code: 5003 }
const slow = { error: 'timeout', message: 'No answer in time', code: 5004 }

it.each([
  [new ApiError(429, limited), 1, 'API rate limit exceeded (try again in 60 s)', limited],
  [new ApiError(403, missing), 1, 'Insufficient permissions (needs a:b)', missing],
  [new ApiError(503, away), 3, 'The service is away', away],
  [new ApiError(504, slow), 3, 'No answer in time', slow],
  [new Refused('cancelled', 'Cancelled'), 1, 'Cancelled', { error: 'cancelled', message: 'Cancelled' }],
  [
    new Refused('forbidden', 'No', { required_scope: 'a:b' }),
    1,
    'No',
    { error: 'forbidden', message: 'No', required_scope: 'a:b' },
  ],
  [new UsageError('Name a command'), 2, 'Name a command', { error: 'usage', message: 'Name a command' }],
  [new NotReachable('Nobody'), 3, 'Nobody', { error: 'not_reachable', message: 'Nobody' }],
  [
    new TypeError('x is no function'),
    1,
    'x is no function',
    { error: 'internal', message: 'x is no function' },
  ],
])('%s ends with its exit code, in a line or as JSON', async (error, exitCode, line, json) => {
  expect(await reported(error)).toEqual([exitCode, `❌ ${line}\n`])
  expect(await reported(error, true)).toEqual([exitCode, `${JSON.stringify(json)}\n`])
})

it('is one line that cannot steer the terminal', async () => {
  expect(await reported(new Refused('x', 'one\ntwo\x1b[2Jthree'))).toEqual([1, '❌ one two�[2Jthree\n'])
})
