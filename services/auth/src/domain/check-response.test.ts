import { randomInt } from 'node:crypto'
import { CheckResponse } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { describe, expect, it } from 'vitest'
import { admittedWith, denied } from './check-response.ts'

/** The message behind the prefix, which says its length. */
function decoded(frame: Buffer): CheckResponse {
  expect([frame[0], frame.readUInt32BE(1)]).toEqual([0, frame.length - 5])
  return CheckResponse.decode(frame.subarray(5))
}

const OVERWRITE = 2
const ADD_IF_ABSENT = 1
const header = (key: string, value: string, appendAction: number) => ({
  header: { key, value, rawValue: Buffer.alloc(0) },
  append: undefined,
  appendAction,
  keepEmptyValue: false,
})

const admitted = (headers: object[], responseHeadersToAdd: object[] = []) => ({
  status: { code: 0, message: '', details: [] },
  httpResponse: {
    $case: 'okResponse',
    value: {
      headers,
      headersToRemove: ['authorization', 'cookie'],
      dynamicMetadata: undefined,
      responseHeadersToAdd,
      queryParametersToSet: [],
      queryParametersToRemove: [],
    },
  },
  dynamicMetadata: undefined,
})

const LENGTHS = [0, 1, 15, 16, 17, 100, 127, 128, 129, 600, 16_383, 16_384, 40_000]

describe('admittedWith', () => {
  const answer = admittedWith('x-instatunnel-identity')

  it('answers what ts-proto reads, of any length', () => {
    for (const length of LENGTHS) {
      const value = 'e'.repeat(length)
      expect(decoded(answer(value))).toEqual(admitted([header('x-instatunnel-identity', value, OVERWRITE)]))
    }
  })

  it('tells the limit and whatever else there is, where the service says nothing of it', () => {
    for (let round = 0; round < 500; round++) {
      const any = () => randomInt(10 ** randomInt(1, 15))
      const rate = { limit: any(), remaining: any(), resetSeconds: any() }
      const more = { deprecation: '@1', sunset: 's'.repeat(randomInt(300)) }
      expect(decoded(answer('e', { rate, headers: more }))).toEqual(
        admitted(
          [header('x-instatunnel-identity', 'e', OVERWRITE)],
          [
            header('ratelimit-limit', String(rate.limit), ADD_IF_ABSENT),
            header('ratelimit-remaining', String(rate.remaining), ADD_IF_ABSENT),
            header('ratelimit-reset', String(rate.resetSeconds), ADD_IF_ABSENT),
            header('deprecation', more.deprecation, ADD_IF_ABSENT),
            header('sunset', more.sunset, ADD_IF_ABSENT),
          ],
        ),
      )
    }
  })

  it('tells an address as it is, none too', () => {
    const withAddress = admittedWith('x-instatunnel-client-address')
    for (const address of ['', '198.51.100.9', '2001:db8::1', 'ä€😀', 'é'.repeat(100)]) {
      expect(decoded(withAddress(address))).toEqual(
        admitted([header('x-instatunnel-client-address', address, OVERWRITE)]),
      )
    }
  })

  it('names the rpc that was decided about', () => {
    for (const rpc of ['/a.v1.A/Get', '/a.v1.A/List', '/a.v1.A/Get'])
      expect(decoded(answer('e', { rpc }))).toEqual(
        admitted([
          header('x-instatunnel-identity', 'e', OVERWRITE),
          header('x-instatunnel-rpc', rpc, OVERWRITE),
        ]),
      )
  })

  it('gives each call bytes of its own', () => {
    const [one, other] = [answer('one'), answer('two')]
    expect(decoded(one)).toEqual(admitted([header('x-instatunnel-identity', 'one', OVERWRITE)]))
    expect(decoded(other)).toEqual(admitted([header('x-instatunnel-identity', 'two', OVERWRITE)]))
  })
})

describe('denied', () => {
  it('answers what ts-proto reads, of any length', () => {
    for (const length of LENGTHS) {
      const [message, body] = ['ä'.repeat(length), `{"error":"${'x'.repeat(length)}"}`]
      const headers = { 'content-type': 'application/json', 'retry-after': '60' }
      expect(decoded(denied({ code: 16, message, status: 401, headers, body }))).toEqual({
        status: { code: 16, message, details: [] },
        httpResponse: {
          $case: 'deniedResponse',
          value: {
            status: { code: 401 },
            headers: [
              header('content-type', 'application/json', OVERWRITE),
              header('retry-after', '60', OVERWRITE),
            ],
            body,
          },
        },
        dynamicMetadata: undefined,
      })
    }
  })

  it.each([400, 401, 403, 404, 429, 500, 503])('answers %i', (status) => {
    const answer = decoded(denied({ code: 7, message: '', status, headers: {}, body: '' }))
    expect(answer.httpResponse).toMatchObject({ value: { status: { code: status }, headers: [], body: '' } })
  })
})
