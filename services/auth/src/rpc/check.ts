import { status } from '@grpc/grpc-js'
import { CONNECT_HEADER } from '@instatunnel/kit/connect'
import { IDENTITY_METADATA } from '@instatunnel/kit/guard'
import type { Logger } from '@instatunnel/kit/log'
import { clocksDiffer, Refusal } from '@instatunnel/kit/refusal'
import type { RestRouteOf } from '@instatunnel/kit/rest-routes'
import { refusalFrom, restErrorOf, rowOf } from '@instatunnel/kit/status'
import { CLIENT_ADDRESS_METADATA } from '../admit-public.ts'
import { nothingHere } from '../call-refusals.ts'
import type { FramedUnary } from '../check-call.ts'
import { readCheckRequest } from '../domain/check-request.ts'
import { admittedWith, denied, type Told } from '../domain/check-response.ts'
import type { Decision } from '../domain/decision.ts'
import type { Gate } from '../gate.ts'
import type { HandedOn } from '../handed-on.ts'
import { refusals } from '../refusals.ts'

/**
 * Envoy's ext_authz (https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto): decides
 * about a call by its head, before the gateway reads any of its body; and, where the route says so, about an agent that
 * asks to connect a tunnel. Which rpc a call is for auth reads from method and path as the transcoder does, and names it
 * in its answer: the gateway lets the call reach that one alone. Where nothing can be decided it answers UNAVAILABLE,
 * which the gateway answers as 503: nobody passes unchecked. What the gate says at once is answered at once.
 */
export const check =
  ({ gate, routeOf, handedOn, log, isReady }: CheckOptions): FramedUnary =>
  (message, signal) => {
    // By a wrong clock every credential may have expired.
    if (!isReady()) throw clocksDiffer()
    const request = readCheckRequest(message)
    if (request.access === 'connect')
      return answerFor({}, signal, log, () => gate.decideConnect(request.path, request, signal))
    const route = routeOf(request.method, request.path)
    if (route.kind !== 'rpc') return refusedWith(nothingHere(), undefined)
    const answer = { rpc: route.rpc, passed: handedOn(route.rpc, request) }
    return answerFor(answer, signal, log, () => gate.decide(route.rpc, request, signal))
  }

interface CheckOptions {
  readonly gate: Pick<Gate, 'decide' | 'decideConnect'>
  readonly routeOf: RestRouteOf
  readonly handedOn: HandedOn
  /** False while this replica's clock is wrong. */
  readonly isReady: () => boolean
  readonly log: Logger
}

function answerFor(
  about: Pick<Told, 'rpc' | 'passed'>,
  signal: AbortSignal,
  log: Logger,
  decide: () => Decision | Promise<Decision>,
): Buffer | Promise<Buffer> {
  try {
    const decision = decide()
    if (!(decision instanceof Promise)) return answerTo(decision, about)
    return decision.then(
      (made) => answerTo(made, about),
      (error: unknown) => {
        throw undecided(error, about.rpc, signal, log)
      },
    )
  } catch (error) {
    throw undecided(error, about.rpc, signal, log)
  }
}

/**
 * The log names the rpc: a path may hold whatever a client put there. That a caller went away while it waited, as any
 * stranger may, is no fault of ours.
 */
function undecided(error: unknown, rpc: string | undefined, signal: AbortSignal, log: Logger): Refusal {
  const method = rpc ?? 'connect'
  const isKnown = error === signal.reason || refusalFrom(error) !== undefined
  if (!isKnown) log.error({ method, err: error }, 'cannot decide')
  else log[signal.aborted ? 'debug' : 'warn']({ method, cause: String(error) }, 'cannot decide')
  return new Refusal('UNAVAILABLE', 'Nothing can be decided right now')
}

const withIdentity = admittedWith(IDENTITY_METADATA)
const withConnect = admittedWith(CONNECT_HEADER)
// A public rpc has no identity, but the address that its caller is known by.
const withClientAddress = admittedWith(CLIENT_ADDRESS_METADATA)

function answerTo(
  { refusal, identity, connect, clientAddress = '', rate, headers }: Decision,
  about: Pick<Told, 'rpc' | 'passed'>,
): Buffer {
  if (refusal) return refusedWith(refusal, headers)
  const told = { ...about, rate, headers }
  if (identity !== undefined) return withIdentity(identity, told)
  if (connect !== undefined) return withConnect(connect, told)
  return withClientAddress(clientAddress, told)
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
