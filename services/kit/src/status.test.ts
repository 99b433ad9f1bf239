import { status as grpc } from '@grpc/grpc-js'
import { refusedOf } from '@instatunnel/test/refused'
import { describe, expect, it } from 'vitest'
import { rateLimited } from './rate.ts'
import { invalidFields, Refusal, type Refusals } from './refusal.ts'
import { internalRefusal, refusalFrom, restErrorOf, rowOf, statusOf } from './status.ts'

const refusals = {
  KEY_NOT_FOUND: 'not_found',
  EMAIL_TAKEN: 'conflict',
  SUBDOMAIN_TAKEN: 'subdomain_taken',
  PLAN_LIMIT: 'plan_limit',
  USAGE_EXCEEDED: 'usage_exceeded',
  LAST_ADMIN: { error: 'conflict', grpc: 'ABORTED' },
  TUNNEL_OFFLINE: 'tunnel_offline',
} as const satisfies Refusals

const refusedAs = (refusal: Refusal) => {
  const { code, details, metadata } = statusOf(refusal, refusals)
  return refusedOf({ code: code as number, details: details as string, metadata: metadata as never })
}

describe('statusOf', () => {
  it.each([
    ['KEY_NOT_FOUND', 'NOT_FOUND', 404, { error: 'not_found', code: 4004 }],
    ['EMAIL_TAKEN', 'ALREADY_EXISTS', 409, { error: 'conflict', code: 4010 }],
    ['SUBDOMAIN_TAKEN', 'ALREADY_EXISTS', 400, { error: 'subdomain_taken', code: 4009 }],
    ['PLAN_LIMIT', 'FAILED_PRECONDITION', 403, { error: 'plan_limit', code: 4013 }],
    ['USAGE_EXCEEDED', 'RESOURCE_EXHAUSTED', 429, { error: 'usage_exceeded', code: 4030 }],
    ['LAST_ADMIN', 'ABORTED', 409, { error: 'conflict', code: 4010 }],
    ['INVALID_FIELDS', 'INVALID_ARGUMENT', 400, { error: 'validation_error', code: 4000 }],
    ['CREDENTIAL_MISSING', 'UNAUTHENTICATED', 401, { error: 'unauthorized', code: 4001 }],
    ['SCOPE_MISSING', 'PERMISSION_DENIED', 403, { error: 'forbidden', code: 4003 }],
    ['RATE_LIMITED', 'RESOURCE_EXHAUSTED', 429, { error: 'rate_limited', code: 4029 }],
    ['UNAVAILABLE', 'UNAVAILABLE', 503, { error: 'unavailable', code: 5003 }],
    ['TIMEOUT', 'DEADLINE_EXCEEDED', 504, { error: 'timeout', code: 5004 }],
    // A row that the table gives no gRPC code, and a reason that no table has: our own mistakes.
    ['TUNNEL_OFFLINE', 'INTERNAL', 502, { error: 'tunnel_offline', code: 5002 }],
    ['NO_SUCH_REASON', 'INTERNAL', 500, { error: 'internal', code: 5000 }],
  ])('answers %s as %s and %i', (reason, code, http, body) => {
    expect(refusedAs(new Refusal(reason, 'Said.'))).toEqual({
      code,
      message: 'Said.',
      reason,
      metadata: {},
      http,
      body: { ...body, message: 'Said.' },
    })
  })

  it('tells fields, required scope and retry delay to both kinds of clients', () => {
    const fields = [
      { field: 'name', message: 'must not be empty' },
      { field: 'local_port', message: 'must be from 1 to 65535' },
    ]
    const refusal = new Refusal('RATE_LIMITED', 'Slower', {
      fields,
      requiredScope: 'keys:manage',
      retryAfterSeconds: 7,
    })
    expect(refusedAs(refusal)).toEqual({
      code: 'RESOURCE_EXHAUSTED',
      message: 'Slower',
      reason: 'RATE_LIMITED',
      metadata: { required_scope: 'keys:manage' },
      fields,
      retryAfterSeconds: 7,
      http: 429,
      body: {
        error: 'rate_limited',
        message: 'Slower',
        code: 4029,
        required_scope: 'keys:manage',
        retry_after: 7,
        fields,
      },
    })
  })

  it('tells the window that did not admit the call, as headers', () => {
    const refusal = rateLimited({ limit: 10, remaining: 0, resetSeconds: 42 })
    const { metadata } = statusOf(refusal, refusals)
    const headers = {
      'ratelimit-limit': '10',
      'ratelimit-remaining': '0',
      'ratelimit-reset': '42',
      'retry-after': '42',
    }
    expect(metadata?.getMap()).toMatchObject(headers)
    expect(restErrorOf(refusal, 'rate_limited').headers).toEqual(headers)
    expect(refusedAs(refusal)).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'RATE_LIMITED',
      retryAfterSeconds: 42,
      body: { error: 'rate_limited', message: 'API rate limit exceeded', code: 4029, retry_after: 42 },
    })
  })

  it("names itself as the error's domain", () => {
    const { metadata } = statusOf(new Refusal('KEY_NOT_FOUND', 'No'), refusals)
    expect(String(metadata?.get('grpc-status-details-bin')[0])).toContain('instatunnel')
  })

  // grpc-js puts the message into a header with encodeURI, which throws on a lone surrogate: the whole process would go.
  it.each(['cut in half \ud83e', '\udda6 the other half', 'both ways round \udda6\ud83e'])(
    'gives a message that a header can carry for %j',
    (message) => {
      const { details } = statusOf(new Refusal('KEY_NOT_FOUND', message), refusals)
      expect(() => encodeURI(details as string)).not.toThrow()
    },
  )
})

describe('restErrorOf', () => {
  it.each([
    'quote " backslash \\ slash /',
    'line\r\nx-injected: yes',
    'nul \0 escape \u001b[31m delete \u007f',
    'é ü 漢字 🦦 \u2028 \u2029 \ufeff',
    'lone \ud800 surrogate',
    '</script><script>alert(1)</script>',
  ])('writes %j in printable ASCII that parses back to itself', (message) => {
    const { body } = restErrorOf(new Refusal('KEY_NOT_FOUND', message), 'not_found')
    expect(body).toMatch(/^[\x20-\x7e]+$/)
    expect(JSON.parse(body)).toEqual({ error: 'not_found', message, code: 4004 })
  })

  it('asks for a bearer with 401 and only there', () => {
    const refusal = new Refusal('CREDENTIAL_MISSING', 'No')
    expect(restErrorOf(refusal, 'unauthorized').headers).toEqual({
      'www-authenticate': 'Bearer realm="instatunnel"',
    })
    expect(restErrorOf(refusal, 'forbidden').headers).toEqual({})
  })

  it('says when to try again in the header and in the body', () => {
    const refusal = new Refusal('RATE_LIMITED', 'Slower', { retryAfterSeconds: 0 })
    const { headers, body } = restErrorOf(refusal, 'rate_limited')
    expect(headers).toEqual({ 'retry-after': '0' })
    expect(JSON.parse(body).retry_after).toBe(0)
  })
})

describe('rowOf', () => {
  it("lets a service's own table come before the common one", () => {
    const own: Refusals = { SERVICES_ONLY: 'not_found' }
    expect(rowOf(new Refusal('SERVICES_ONLY', ''), own)).toEqual({ error: 'not_found', grpc: 'NOT_FOUND' })
    expect(rowOf(new Refusal('SERVICES_ONLY', ''), {})).toEqual({
      error: 'unauthorized',
      grpc: 'UNAUTHENTICATED',
    })
  })
})

describe('refusalFrom', () => {
  it('keeps a refusal as it is', () => {
    const refusal = invalidFields([{ field: 'name', message: 'must not be empty' }])
    expect(refusalFrom(refusal)).toBe(refusal)
  })

  it.each([
    ['a neighbour that is away', { code: grpc.UNAVAILABLE }],
    ['a server that refuses connections', { code: 'ECONNREFUSED' }],
    ['a connection that was reset', { code: 'ECONNRESET' }],
    ['a broken pipe', { code: 'EPIPE' }],
    ['a host that is down', { code: 'EHOSTUNREACH' }],
    ['a connection that took too long', { code: 'ETIMEDOUT' }],
    ['a network that is down', { code: 'ENETUNREACH' }],
    ['a name that is not known while its pod restarts', { code: 'ENOTFOUND' }],
    ['a resolver that is away', { code: 'EAI_AGAIN' }],
    ['a connection that Postgres closed', { code: 'CONNECTION_CLOSED' }],
    ['a pool that was ended', { code: 'CONNECTION_ENDED' }],
    ['a pool that was destroyed', { code: 'CONNECTION_DESTROYED' }],
    ['a connection that could not be made', { code: 'CONNECT_TIMEOUT' }],
    ['Postgres shutting down', { code: '57P01' }],
    ['Postgres crashing', { code: '57P02' }],
    ['Postgres starting', { code: '57P03' }],
    ['Postgres having no connection left', { code: '53300' }],
    ["Postgres's disk being full", { code: '53100' }],
    ['Postgres being out of memory', { code: '53200' }],
    ['a bound of Postgres being reached', { code: '53400' }],
    ["Postgres's disk failing", { code: '58030' }],
    ['a lock that another holds for too long', { code: '55P03' }],
    ['a session that Postgres ended amid a transaction', { code: '25P03' }],
    ['a standby of Postgres', { code: '25006' }],
    ['a pool without a free connection', { code: 'POOL_EXHAUSTED' }],
    ['a broken session', { code: '08006' }],
  ])('takes %s for UNAVAILABLE', (_, error) => {
    expect(refusalFrom(Object.assign(new Error('secret address'), error))).toMatchObject({
      reason: 'UNAVAILABLE',
      message: 'The service is not available right now; try again shortly.',
      details: { retryAfterSeconds: 1 },
    })
  })

  it.each([
    ['a neighbour', { code: grpc.DEADLINE_EXCEEDED }],
    ['a statement', { code: '57014' }],
  ])('takes %s that did not answer in time for TIMEOUT', (_, error) => {
    expect(refusalFrom(Object.assign(new Error('select secret'), error))).toMatchObject({
      reason: 'TIMEOUT',
      message: 'The service did not answer in time; try again.',
    })
  })

  it.each([
    ['an error', new Error('boom')],
    ['a type error', new TypeError('x is not a function')],
    ['a violated constraint', Object.assign(new Error('duplicate key'), { code: '23505' })],
    ['bad SQL', Object.assign(new Error('syntax error'), { code: '42601' })],
    ['a code that only begins like one of those', Object.assign(new Error(''), { code: '57P013' })],
    ["a neighbour's refusal", Object.assign(new Error(''), { code: grpc.NOT_FOUND })],
    ["a neighbour's fault", Object.assign(new Error(''), { code: grpc.INTERNAL })],
    ['a text', 'boom'],
    ['null', null],
    ['undefined', undefined],
  ])('leaves %s to be logged and answered as internal', (_, error) => {
    expect(refusalFrom(error)).toBeUndefined()
  })

  it('says nothing of what went wrong inside', () => {
    const { code, message, body } = refusedAs(internalRefusal())
    expect({ code, message, body }).toEqual({
      code: 'INTERNAL',
      message: 'Something went wrong on our side.',
      body: { error: 'internal', message: 'Something went wrong on our side.', code: 5000 },
    })
  })
})
