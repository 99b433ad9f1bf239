import { parseConnectPath } from './connect-request.ts'
import type { RestBinding } from './rest-bindings.ts'

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
 * The routes as the gateway takes them: a relay where an agent connects, and the bindings of the rpcs. Of several that
 * fit, the transcoder takes the one that is literal where they part
 * (https://github.com/grpc-ecosystem/grpc-httpjson-transcoding/blob/master/src/path_matcher_node.cc). Auth asks this about
 * every call: a route that exists is found without an array or an object being made.
 */
export function createRestRoutes(bindings: readonly RestBinding[]): RestRouteOf {
  const root = newNode()
  const methods = [...new Set(bindings.map(({ method }) => method))].sort()
  // Most calls are of a path without a variable, as it is written in the contract.
  const literal = new Map(methods.map((method) => [method, new Map<string, RestRoute>()]))
  for (const { rpc, method, template } of bindings) {
    const route = { kind: 'rpc', rpc } as const
    insert(root, template.split('/').slice(1), method, route)
    if (!template.includes('{')) literal.get(method)?.set(template, route)
  }
  const lookUp = (method: string, path: string) => find(root, path, 1, endOf(path), method)

  return (method, path) => {
    const found = literal.get(method)?.get(path) ?? lookUp(method, path)
    if (found) return found
    const target = method === 'GET' ? parseConnectPath(path) : undefined
    if (target) return { kind: 'connect', tunnelId: target.tunnelId }
    return { kind: 'none', others: methods.filter((other) => lookUp(other, path)) }
  }
}

/** The rest of the paths that begin alike, by their next segment. */
interface Node {
  readonly literals: Map<string, Node>
  /** Past any segment. */
  variable: Node | undefined
  /** What a path that ends here leads to, by method. */
  readonly routes: Map<string, RestRoute>
}

const newNode = (): Node => ({ literals: new Map(), variable: undefined, routes: new Map() })

function insert(root: Node, segments: readonly string[], method: string, route: RestRoute): void {
  let node = root
  for (const segment of segments) {
    let child = segment.startsWith('{') ? node.variable : node.literals.get(segment)
    if (!child) {
      child = newNode()
      if (segment.startsWith('{')) node.variable = child
      else node.literals.set(segment, child)
    }
    node = child
  }
  node.routes.set(method, route)
}

/** Where the path ends before its query, slashes at its end left out: the transcoder does not look at them either. */
function endOf(path: string): number {
  const query = path.indexOf('?')
  let end = query < 0 ? path.length : query
  while (end > 0 && path.charCodeAt(end - 1) === SLASH) end--
  return end
}

const SLASH = 47

/** Finds the route of what follows in the path from this segment on. */
function find(node: Node, path: string, from: number, end: number, method: string): RestRoute | undefined {
  if (from > end) return node.routes.get(method)
  if (path.charCodeAt(from - 1) !== SLASH) return undefined
  const slash = path.indexOf('/', from)
  const to = slash < 0 || slash > end ? end : slash
  const child = node.literals.get(path.substring(from, to))
  const found = child && find(child, path, to + 1, end, method)
  if (found || !node.variable || to === from) return found
  return find(node.variable, path, to + 1, end, method)
}
