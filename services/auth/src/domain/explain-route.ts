import type { RestRoute } from '@instatunnel/kit/rest-routes'
import type { Check } from './explain.ts'

/** Whether a request leads anywhere that a key may be used for, by the rules of the rpcs. */
export function explainRoute(
  route: RestRoute,
  { method, path }: { readonly method: string; readonly path: string },
  rules: ReadonlyMap<string, { readonly kind: 'public' | 'internal' | 'scope' }>,
): Check {
  const [bare = ''] = path.split('?', 1)
  const asked = `${method} ${bare}`
  if (route.kind === 'connect') return routed(`${asked} connects an agent`)
  const { kind } = rules.get(route.kind === 'rpc' ? route.rpc : bare) ?? {}
  if (kind === 'internal') return astray(`${asked} is for services of the platform only`)
  if (route.kind === 'none') return astray(`There is no ${asked}${instead(route.others)}`)
  if (kind === 'public') return routed(`${asked} is open to everybody; no key is looked at`)
  const [, service, rpc] = /([^.]+)\/(.+)$/.exec(route.rpc) ?? []
  return routed(`${asked} is ${service}.${rpc}`)
}

const instead = (methods: readonly string[]) =>
  methods.length === 0 ? '' : `; what is there answers ${methods.join(', ')}`

const routed = (message: string): Check => ({ name: 'route', passed: true, message })
const astray = (message: string): Check => ({ name: 'route', passed: false, message })
