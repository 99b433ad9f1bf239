import { readRestBindings } from '@instatunnel/kit/rest-bindings'
import { descriptorsFile } from '@instatunnel/kit/rules'
import type { HeaderValueOption } from '@instatunnel/proto/envoy/config/core/v3/base'
import type { CheckResponse } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { CheckRequest } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { RPC_HEADER } from '../src/domain/check-response.ts'

/** What of a REST call the gateway tells auth. */
export interface RestCall {
  /** Sent as `Authorization: Bearer …`. */
  readonly bearer?: string
  readonly authorization?: string
  readonly cookie?: string
  readonly origin?: string
  readonly fetchSite?: string
  /** The client's address as the gateway saw it; null where the gateway does not say. */
  readonly address?: string | null
  /** What the gateway's route says of the call: "connect" where an agent asks to connect a tunnel. */
  readonly access?: string
  /** What it says of the body: "large" where it is, or may be. */
  readonly body?: string
}

/** What Check decided, read as Envoy would. */
export type Checked =
  | {
      readonly admitted: true
      /** Added to the call, beside the rpc's name. */
      readonly headers: Record<string, string>
      /** Removed from the call. */
      readonly removed: readonly string[]
      /** Added to the answer. */
      readonly responseHeaders: Record<string, string>
    }
  | {
      readonly admitted: false
      /** The google.rpc.Code. */
      readonly code: number
      readonly status: number
      readonly headers: Record<string, string>
      // biome-ignore lint/suspicious/noExplicitAny: tests assert on whatever was answered
      readonly body: any
    }

const ADDRESS = '203.0.113.7'

const bindings = readRestBindings(descriptorsFile())

/** How an rpc is called over REST, by its full method; a POST of what is none. */
export function restCall(rpc: string): { readonly method: string; readonly path: string } {
  const { method, template } = bindings.find((binding) => binding.rpc === rpc) ?? {
    method: 'POST',
    template: rpc,
  }
  return { method, path: template.replace(/\{\w+\}/g, 'some') }
}

/** Envoy's request for an rpc of ours, by its full method, or for a path. */
export function checkRequest(path: string, call: RestCall): CheckRequest {
  const { bearer, authorization, cookie, origin, fetchSite, address = ADDRESS, access, body } = call
  const headers = {
    authorization: bearer === undefined ? authorization : `Bearer ${bearer}`,
    cookie,
    origin,
    'sec-fetch-site': fetchSite,
    'x-envoy-external-address': address ?? undefined,
  }
  const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
  return CheckRequest.fromPartial({
    attributes: {
      // The nearest proxy: not whom the limits count.
      source: { address: { address: { $case: 'socketAddress', value: { address: '10.0.0.1' } } } },
      request: {
        http: {
          ...(access ? { method: 'GET', path } : restCall(path)),
          headers: given as Record<string, string>,
        },
      },
      contextExtensions: { ...(access !== undefined && { access }), ...(body !== undefined && { body }) },
    },
  })
}

/** Reads Envoy's answer. */
export function checkedOf({ status, httpResponse }: CheckResponse): Checked {
  if (httpResponse?.$case === 'okResponse') {
    if (status?.code !== 0) throw new Error(`an ok response with status ${status?.code}`)
    const { headers, headersToRemove, responseHeadersToAdd } = httpResponse.value
    return {
      admitted: true,
      headers: valuesOf(headers.filter(({ header }) => header?.key !== RPC_HEADER)),
      removed: headersToRemove,
      responseHeaders: valuesOf(responseHeadersToAdd),
    }
  }
  if (httpResponse?.$case !== 'deniedResponse' || !status?.code) throw new Error('neither ok nor denied')
  const { value } = httpResponse
  return {
    admitted: false,
    code: status.code,
    status: value.status?.code ?? 0,
    headers: valuesOf(value.headers),
    body: JSON.parse(value.body),
  }
}

const valuesOf = (options: readonly HeaderValueOption[]): Record<string, string> =>
  Object.fromEntries(options.map(({ header }) => [header?.key ?? '', header?.value ?? '']))
