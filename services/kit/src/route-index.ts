import type { LiveRoute } from './route.ts'

const NONE: readonly LiveRoute[] = []

/** Finds routes by one of their names, as often as asked without making anything new. */
export interface RouteIndex {
  add(route: LiveRoute): void
  remove(route: LiveRoute): void
  get(name: string): readonly LiveRoute[]
}

/** An index by what `nameOf` says; adding and removing cost the same however many routes share a name. */
export function createRouteIndex(nameOf: (route: LiveRoute) => string): RouteIndex {
  const found = new Map<string, { routes: Set<LiveRoute>; list: readonly LiveRoute[] | undefined }>()
  return {
    add(route) {
      const named = found.get(nameOf(route))
      if (!named) {
        found.set(nameOf(route), { routes: new Set([route]), list: undefined })
        return
      }
      named.routes.add(route)
      named.list = undefined
    },
    remove(route) {
      const named = found.get(nameOf(route))
      if (!named) return
      named.routes.delete(route)
      named.list = undefined
      if (named.routes.size === 0) found.delete(nameOf(route))
    },
    get(name) {
      const named = found.get(name)
      if (!named) return NONE
      named.list ??= Object.freeze([...named.routes])
      return named.list
    },
  }
}
