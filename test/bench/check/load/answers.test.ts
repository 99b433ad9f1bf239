import { CheckResponse } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { describe, expect, it } from 'vitest'
import { isRight } from './answers.ts'

const encoded = (response: object) =>
  Buffer.from(CheckResponse.encode(CheckResponse.fromPartial(response)).finish())
const status = { code: 16, message: '', details: [] }
const ok = (value: object) => encoded({ status, httpResponse: { $case: 'okResponse', value } })
const admitted = ok({ headers: [{ header: { key: 'x-instatunnel-identity', value: 'i'.repeat(600) } }] })
const denied = (code: number) =>
  encoded({ status, httpResponse: { $case: 'deniedResponse', value: { status: { code } } } })

describe('an answer', () => {
  it('is admitted where it is ok and has a header', () => {
    expect(isRight.admitted(admitted)).toBe(true)
    expect(isRight.admitted(ok({}))).toBe(false)
    expect(isRight.admitted(denied(401))).toBe(false)
    expect(isRight.admitted(Buffer.alloc(0))).toBe(false)
  })

  it('is refused where it is 401 or 429, and nothing else', () => {
    expect(isRight.refused(denied(401))).toBe(true)
    expect(isRight.refused(denied(429))).toBe(true)
    expect(isRight.refused(denied(403))).toBe(false)
    expect(isRight.refused(admitted)).toBe(false)
  })
})
