import { type Server, status } from '@grpc/grpc-js'
import { readRestBindings } from '@instatunnel/kit/rest-bindings'
import { createRestRoutes } from '@instatunnel/kit/rest-routes'
import { descriptorsFile } from '@instatunnel/kit/rules'
import {
  type AuthorizationServer,
  AuthorizationService,
  type CheckRequest,
  type CheckResponse,
  type DeniedHttpResponse,
  type OkHttpResponse,
} from '@instatunnel/proto/envoy/service/auth/v3/external_auth'

/** A real ext_authz server that decides as it is told and keeps what it was asked. */
export interface Authorizer {
  asked: CheckRequest[]
  /** Admits with an identity unless something else is set; names the rpc in any case. */
  decide: (request: CheckRequest) => Decision | Promise<Decision>
  addTo(server: Server): void
}

export type Decision =
  | { admit: true; headers?: Headers; remove?: string[]; toClient?: Headers }
  | { admit: false; http: number; body: string; headers?: Headers }

type Headers = Record<string, string>

/** Makes one, to be added to a server. */
export function authorizer(): Authorizer {
  const self: Authorizer = {
    asked: [],
    decide: () => ({ admit: true }),
    addTo: (server) =>
      server.addService(AuthorizationService, {
        check: (call, done) => {
          self.asked.push(call.request)
          Promise.resolve(self.decide(call.request)).then(
            (decision) => done(null, responseOf(decision, rpcOf(call.request))),
            done,
          )
        },
      } satisfies AuthorizationServer),
  }
  return self
}

const routeOf = createRestRoutes(readRestBindings(descriptorsFile()))

/** The rpc that a call is for, as auth reads it. */
function rpcOf({ attributes }: CheckRequest): Headers {
  const { method = '', path = '' } = attributes?.request?.http ?? {}
  const route = routeOf(method, path)
  return route.kind === 'rpc' ? { 'x-instatunnel-rpc': route.rpc } : {}
}

function responseOf(decision: Decision, rpc: Headers): CheckResponse {
  if (decision.admit) {
    const ok: OkHttpResponse = {
      headers: options({ ...rpc, ...(decision.headers ?? { 'x-instatunnel-identity': 'identity-of-ours' }) }),
      headersToRemove: decision.remove ?? ['authorization', 'cookie'],
      responseHeadersToAdd: options(decision.toClient ?? {}),
      dynamicMetadata: undefined,
      queryParametersToSet: [],
      queryParametersToRemove: [],
    }
    return response(status.OK, { $case: 'okResponse', value: ok })
  }
  const denied: DeniedHttpResponse = {
    status: { code: decision.http as 401 },
    headers: options(decision.headers ?? {}),
    body: decision.body,
  }
  return response(status.PERMISSION_DENIED, { $case: 'deniedResponse', value: denied })
}

const response = (code: number, httpResponse: CheckResponse['httpResponse']): CheckResponse => ({
  status: { code, message: '', details: [] },
  httpResponse,
  dynamicMetadata: undefined,
})

const options = (headers: Headers) =>
  Object.entries(headers).map(([key, value]) => ({
    header: { key, value, rawValue: Buffer.alloc(0) },
    append: undefined,
    appendAction: 2 as const, // overwrite
    keepEmptyValue: false,
  }))
