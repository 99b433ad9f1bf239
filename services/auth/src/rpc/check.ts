import { type handleUnaryCall, status } from '@grpc/grpc-js'
import { CONNECT_HEADER } from '@instatunnel/kit/connect'
import { IDENTITY_METADATA } from '@instatunnel/kit/guard'
import type { Logger } from '@instatunnel/kit/log'
import { rateHeaders } from '@instatunnel/kit/rate'
import type { Refusal } from '@instatunnel/kit/refusal'
import { refusalFrom, restErrorOf, rowOf } from '@instatunnel/kit/status'
import {
  HeaderValueOption_HeaderAppendAction as HeaderAppendAction,
  type HeaderValueOption,
} from '@instatunnel/proto/envoy/config/core/v3/base'
import type { CheckRequest, CheckResponse } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import type { StatusCode } from '@instatunnel/proto/envoy/type/v3/http_status'
import type { Attempt, Decision } from '../admission.ts'
import type { Gate } from '../gate.ts'
import { CLIENT_ADDRESS_METADATA } from '../open-session.ts'
import { refusals } from '../refusals.ts'

const { OVERWRITE_IF_EXISTS_OR_ADD: OVERWRITE, ADD_IF_ABSENT } = HeaderAppendAction

type Action = typeof OVERWRITE | typeof ADD_IF_ABSENT

/**
 * Envoy's ext_authz: decides about a call that the gateway has transcoded already, so that its path is the method
 * (https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto); and, where the route says
 * so, about an agent that asks to connect a tunnel. Where nothing can be decided it answers UNAVAILABLE, which the
 * gateway answers as 503: nobody passes unchecked.
 */
export const check =
  ({ gate, log }: { gate: Gate; log: Logger }): handleUnaryCall<CheckRequest, CheckResponse> =>
  (call, answer) => {
    const path = call.request.attributes?.request?.http?.path ?? ''
    const attempt = attemptOf(call.request)
    const gone = new AbortController()
    call.on('cancelled', () => gone.abort())
    // What the route says, and nothing that a client can: the path alone makes no call a connect.
    const isConnect = call.request.attributes?.contextExtensions.access === 'connect'
    const deciding = isConnect
      ? gate.decideConnect(path, attempt, gone.signal)
      : gate.decide(path, attempt, gone.signal)
    Promise.resolve(deciding).then(
      (decision) => answer(null, decision.refusal ? denied(decision.refusal) : admitted(decision, attempt)),
      (error: unknown) => {
        // Without its query, which may hold whatever a client put there.
        const [method] = path.split('?', 1)
        if (refusalFrom(error)) log.warn({ method, cause: String(error) }, 'cannot decide')
        else log.error({ method, err: error }, 'cannot decide')
        answer({ code: status.UNAVAILABLE, details: 'Nothing can be decided right now' })
      },
    )
  }

function attemptOf({ attributes }: CheckRequest): Attempt {
  const headers = attributes?.request?.http?.headers ?? {}
  return {
    authorization: headers.authorization,
    cookie: headers.cookie,
    origin: headers.origin,
    fetchSite: headers['sec-fetch-site'],
    // What Envoy made of X-Forwarded-For and TRUSTED_HOPS; the request's source would be the nearest proxy. Those that it
    // says nothing of count as one client: not to be known must not mean not to be counted.
    address: headers['x-envoy-external-address'] ?? '',
  }
}

function admitted(decision: Decision, attempt: Attempt): CheckResponse {
  const { rate } = decision
  const httpResponse = {
    $case: 'okResponse' as const,
    value: {
      headers: [toldBy(decision, attempt)],
      headersToRemove: ['authorization', 'cookie'],
      dynamicMetadata: undefined,
      // A service that refuses by a limit of its own tells that one.
      responseHeadersToAdd: headersOf(rate ? rateHeaders(rate) : {}, ADD_IF_ABSENT),
      queryParametersToSet: [],
      queryParametersToRemove: [],
    },
  }
  return { status: { code: status.OK, message: '', details: [] }, httpResponse, dynamicMetadata: undefined }
}

function toldBy({ identity, connect }: Decision, { address = '' }: Attempt): HeaderValueOption {
  if (identity !== undefined) return header(IDENTITY_METADATA, identity, OVERWRITE)
  if (connect !== undefined) return header(CONNECT_HEADER, connect, OVERWRITE)
  // A public rpc has no identity, but the address that its caller is known by.
  return header(CLIENT_ADDRESS_METADATA, address, OVERWRITE)
}

function denied(refusal: Refusal): CheckResponse {
  const { error, grpc } = rowOf(refusal, refusals)
  const rest = restErrorOf(refusal, error)
  const headers = headersOf({ 'content-type': 'application/json', ...rest.headers }, OVERWRITE)
  const httpResponse = {
    $case: 'deniedResponse' as const,
    value: { status: { code: rest.status as StatusCode }, headers, body: rest.body },
  }
  return {
    status: { code: status[grpc], message: refusal.message, details: [] },
    httpResponse,
    dynamicMetadata: undefined,
  }
}

const headersOf = (headers: Readonly<Record<string, string>>, action: Action): HeaderValueOption[] =>
  Object.entries(headers).map(([name, value]) => header(name, value, action))

const header = (key: string, value: string, appendAction: Action): HeaderValueOption => ({
  header: { key, value, rawValue: Buffer.alloc(0) },
  append: undefined,
  appendAction,
  keepEmptyValue: false,
})
