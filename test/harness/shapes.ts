import { expect } from 'vitest'
import type { Answer } from './rest-client.ts'

/** Matches an id of ours: prefix and 26 characters. */
export const anId = (prefix: string) => expect.stringMatching(new RegExp(`^${prefix}[0-9a-hjkmnp-tv-z]{26}$`))

/** Matches a time as REST shows it: RFC 3339 in UTC. */
export const aTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)

/** Matches an API key of the standard form. */
export const aKey = expect.stringMatching(/^it_[0-9A-Za-z]{16}$/)

/** Matches a session's token. */
export const aToken = expect.stringMatching(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/)

/** Matches a tunnel's token. */
export const aTunnelToken = expect.stringMatching(/^itt_[0-9A-Za-z]{32}$/)

/** Matches the cookie that an account knows a browser by: its name, and the path that it is sent to. */
export const aDeviceCookie = (name: string, path: string) =>
  expect.stringMatching(
    new RegExp(`^${name}=itd_\\w{32}; Max-Age=7776000; Path=${path}; HttpOnly; SameSite=Strict; Secure$`),
  )

const aRequestId = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)

/**
 * What every JSON answer's headers are, beside those named: no cache keeps it, no browser guesses its type, and nothing
 * of gRPC, of Envoy or of the platform's inside is among them.
 */
export function expectJsonHeaders(answer: Answer, others: readonly string[] = []): void {
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  const usual = [
    'cache-control',
    'x-content-type-options',
    'content-type',
    'content-length',
    'date',
    'connection',
    'server',
    'x-request-id',
  ]
  const rate = ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset']
  const unexpected = Object.keys(answer.headers).filter(
    (name) => ![...usual, ...rate, ...others].includes(name),
  )
  expect(unexpected).toEqual([])
}

/**
 * A success, whole: 200, this body, the headers that every counted answer has and those named here, and no others.
 */
export function expectAnswer(answer: Answer, body: unknown, headers: Record<string, unknown> = {}): void {
  expect({ status: answer.status, body: answer.body }).toEqual({ status: 200, body })
  expectJsonHeaders(answer, Object.keys(headers))
  expect(answer.headers).toMatchObject({ 'x-request-id': aRequestId, ...headers })
  expectRate(answer)
}

/** That an answer is counted by a limit: the three headers are whole numbers, and fewer remain than the limit. */
export function expectRate(answer: Answer): void {
  const [limit, remaining, reset] = ['limit', 'remaining', 'reset'].map((name) =>
    Number(answer.headers[`ratelimit-${name}`]),
  )
  expect(limit).toBeGreaterThan(0)
  expect(remaining).toBeLessThan(limit as number)
  expect(remaining).toBeGreaterThanOrEqual(0)
  expect(reset).toBeGreaterThan(0)
}
