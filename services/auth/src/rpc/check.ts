import { type handleUnaryCall, status } from '@grpc/grpc-js'
import { IDENTITY_METADATA } from '@instatunnel/kit/guard'
import type { Logger } from '@instatunnel/kit/log'
import type { Refusal } from '@instatunnel/kit/refusal'
import { refusalFrom, restErrorOf, rowOf } from '@instatunnel/kit/status'
import type { HeaderValueOption } from '@instatunnel/proto/envoy/config/core/v3/base'
import type { CheckRequest, CheckResponse } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import type { StatusCode } from '@instatunnel/proto/envoy/type/v3/http_status'
import type { Rate } from '../domain/sliding-window.ts'
import type { Attempt, Gate } from '../gate.ts'
import { CLIENT_ADDRESS_METADATA } from '../open-session.ts'
import { refusals } from '../refusals.ts'

/**
 * Envoy's ext_authz: decides about a call that the gateway has transcoded already, so that its path is the method
 * (https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto). Where nothing can be
 * decided it answers UNAVAILABLE, which the gateway answers as 503: nobody passes unchecked.
 */
export const check =
  ({ gate, log }: { gate: Gate; log: Logger }): handleUnaryCall<CheckRequest, CheckResponse> =>
  (call, answer) => {
    const attempt = attemptOf(call.request)
    gate.decide(attempt).then(
      ({ refusal, identity, rate }) =>
        answer(null, refusal ? denied(refusal, rate) : admitted(identity, attempt.address, rate)),
      (error: unknown) => {
        if (refusalFrom(error)) log.warn({ method: attempt.method, cause: String(error) }, 'cannot decide')
        else log.error({ method: attempt.method, err: error }, 'cannot decide')
        answer({ code: status.UNAVAILABLE, details: 'Nothing can be decided right now' })
      },
    )
  }

function attemptOf({ attributes }: CheckRequest): Attempt {
  const headers = attributes?.request?.http?.headers ?? {}
  return {
    method: attributes?.request?.http?.path ?? '',
    authorization: headers.authorization,
    cookie: headers.cookie,
    origin: headers.origin,
    fetchSite: headers['sec-fetch-site'],
    // What Envoy made of X-Forwarded-For and TRUSTED_HOPS; the request's source would be the nearest proxy. Those that it
    // says nothing of count as one client: not to be known must not mean not to be counted.
    address: headers['x-envoy-external-address'] ?? '',
  }
}

function admitted(
  identity: string | undefined,
  address: string | undefined,
  rate: Rate | undefined,
): CheckResponse {
  // A public rpc has no identity, but the address that its caller is known by.
  const told =
    identity === undefined
      ? header(CLIENT_ADDRESS_METADATA, address ?? '')
      : header(IDENTITY_METADATA, identity)
  const httpResponse = {
    $case: 'okResponse' as const,
    value: {
      headers: [told],
      headersToRemove: ['authorization', 'cookie'],
      dynamicMetadata: undefined,
      responseHeadersToAdd: rateHeaders(rate),
      queryParametersToSet: [],
      queryParametersToRemove: [],
    },
  }
  return { status: { code: status.OK, message: '', details: [] }, httpResponse, dynamicMetadata: undefined }
}

function denied(refusal: Refusal, rate: Rate | undefined): CheckResponse {
  const { error, grpc } = rowOf(refusal, refusals)
  const { status: httpStatus, headers, body } = restErrorOf(refusal, error)
  const named = Object.entries({ 'content-type': 'application/json', ...headers }).map(([name, value]) =>
    header(name, value),
  )
  const httpResponse = {
    $case: 'deniedResponse' as const,
    value: { status: { code: httpStatus as StatusCode }, headers: [...named, ...rateHeaders(rate)], body },
  }
  return {
    status: { code: status[grpc], message: refusal.message, details: [] },
    httpResponse,
    dynamicMetadata: undefined,
  }
}

const rateHeaders = (rate: Rate | undefined): HeaderValueOption[] =>
  rate === undefined
    ? []
    : [
        header('ratelimit-limit', String(rate.limit)),
        header('ratelimit-remaining', String(rate.remaining)),
        header('ratelimit-reset', String(rate.resetSeconds)),
      ]

const header = (key: string, value: string): HeaderValueOption => ({
  header: { key, value, rawValue: Buffer.alloc(0) },
  append: undefined,
  appendAction: 2, // OVERWRITE_IF_EXISTS_OR_ADD
  keepEmptyValue: false,
})
