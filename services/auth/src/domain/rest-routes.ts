import { parseConnectPath } from '@instatunnel/kit/connect-request'
import type { RestBinding } from '@instatunnel/kit/rest-bindings'

/** What answers a request of the REST API. */
export type RestRoute =
  /** An rpc, by its full method. */
  | { readonly kind: 'rpc'; readonly rpc: string }
  /** A relay, where an agent connects a tunnel. */
  | { readonly kind: 'connect'; readonly tunnelId: string }
  /** Nothing; which methods are answered at that path. */
  | { readonly kind: 'none'; readonly others: readonly string[] }

/** Finds what answers a method and a path; a query is not looked at. */
export type RestRouteOf = (method: string, path: string) => RestRoute

/**
 * The routes as the gateway takes them: connecting a tunnel first, then the bindings of the rpcs. Of several that fit, the
 * transcoder takes the one that is literal where they part
 * (https://github.com/grpc-ecosystem/grpc-httpjson-transcoding/blob/master/src/path_matcher_node.cc).
 */
export function createRestRoutes(bindings: readonly RestBinding[]): RestRouteOf {
  const routes = bindings.map((binding) => ({ ...binding, segments: segmentsOf(binding.template) }))
  routes.sort((one, other) => orderOf(one.segments).localeCompare(orderOf(other.segments)))
  return (method, path) => {
    const target = method === 'GET' ? parseConnectPath(path) : undefined
    if (target) return { kind: 'connect', tunnelId: target.tunnelId }
    const segments = segmentsOf(path)
    const fitting = routes.filter((route) => fits(route.segments, segments))
    const found = fitting.find((route) => route.method === method)
    if (found) return { kind: 'rpc', rpc: found.rpc }
    return { kind: 'none', others: [...new Set(fitting.map((route) => route.method))].sort() }
  }
}

/** The parts of a path between its slashes, without those at its end, which the transcoder does not look at either. */
function segmentsOf(path: string): readonly string[] {
  const [bare = ''] = path.split('?', 1)
  return bare.replace(/\/+$/, '').split('/').slice(1)
}

const isVariable = (segment: string) => segment.startsWith('{')

const orderOf = (segments: readonly string[]) =>
  segments.map((segment) => (isVariable(segment) ? '1' : '0')).join('')

const fits = (template: readonly string[], segments: readonly string[]) =>
  template.length === segments.length &&
  template.every((part, at) => (isVariable(part) ? segments[at] !== '' : part === segments[at]))
