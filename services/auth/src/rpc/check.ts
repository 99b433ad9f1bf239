import { status } from '@grpc/grpc-js'
import { CONNECT_HEADER } from '@instatunnel/kit/connect'
import { IDENTITY_METADATA } from '@instatunnel/kit/guard'
import type { Logger } from '@instatunnel/kit/log'
import { Refusal } from '@instatunnel/kit/refusal'
import { refusalFrom, restErrorOf, rowOf } from '@instatunnel/kit/status'
import type { FramedUnary } from '../check-call.ts'
import { type CheckRequest, readCheckRequest } from '../domain/check-request.ts'
import { admittedWith, denied } from '../domain/check-response.ts'
import type { Decision } from '../domain/decision.ts'
import type { Gate } from '../gate.ts'
import { CLIENT_ADDRESS_METADATA } from '../open-session.ts'
import { refusals } from '../refusals.ts'

/**
 * Envoy's ext_authz: decides about a call that the gateway has transcoded already, so that its path is the method
 * (https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto); and, where the route says
 * so, about an agent that asks to connect a tunnel. Where nothing can be decided it answers UNAVAILABLE, which the
 * gateway answers as 503: nobody passes unchecked. What the gate says at once is answered at once.
 */
export const check =
  ({ gate, log }: { gate: Pick<Gate, 'decide' | 'decideConnect'>; log: Logger }): FramedUnary =>
  (message, signal) => {
    const request = readCheckRequest(message)
    try {
      const decision: Decision | Promise<Decision> =
        request.access === 'connect'
          ? gate.decideConnect(request.path, request, signal)
          : gate.decide(request.path, request, signal)
      return decision instanceof Promise ? answerLater(decision, request, log) : answerTo(decision, request)
    } catch (error) {
      throw undecided(error, request, log)
    }
  }

async function answerLater(decision: Promise<Decision>, request: CheckRequest, log: Logger): Promise<Buffer> {
  try {
    return answerTo(await decision, request)
  } catch (error) {
    throw undecided(error, request, log)
  }
}

function undecided(error: unknown, { path }: CheckRequest, log: Logger): Refusal {
  // Without its query, which may hold whatever a client put there.
  const [method] = path.split('?', 1)
  if (refusalFrom(error)) log.warn({ method, cause: String(error) }, 'cannot decide')
  else log.error({ method, err: error }, 'cannot decide')
  return new Refusal('UNAVAILABLE', 'Nothing can be decided right now')
}

const withIdentity = admittedWith(IDENTITY_METADATA)
const withConnect = admittedWith(CONNECT_HEADER)
// A public rpc has no identity, but the address that its caller is known by.
const withAddress = admittedWith(CLIENT_ADDRESS_METADATA)

function answerTo(
  { refusal, identity, connect, rate, headers }: Decision,
  { address }: CheckRequest,
): Buffer {
  if (refusal) return refusedWith(refusal, headers)
  if (identity !== undefined) return withIdentity(identity, rate, headers)
  if (connect !== undefined) return withConnect(connect, rate, headers)
  return withAddress(address, rate, headers)
}

function refusedWith(refusal: Refusal, more: Decision['headers']): Buffer {
  const { error, grpc } = rowOf(refusal, refusals)
  const rest = restErrorOf(refusal, error)
  return denied({
    code: status[grpc],
    message: refusal.message,
    status: rest.status,
    headers: { 'content-type': 'application/json', ...rest.headers, ...more },
    body: rest.body,
  })
}
