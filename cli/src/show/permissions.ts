import { expandScope, SCOPES } from '@instatunnel/kit/scope'

/** The order that the documentation lists scopes in, by group. */
const groups = [
  'tunnels',
  'analytics',
  'logs',
  'alerts',
  'account',
  'billing',
  'keys',
  'admin',
  'users',
  'org',
]

/** Scopes as people write them: "tunnels:*" where all of several in a group are held, "*" where all there are. */
export function folded(patterns: readonly string[]): string[] {
  const scopes = [...new Set(patterns.flatMap(expanded))]
  if (SCOPES.every((scope) => scopes.includes(scope))) return ['*']
  return [...Map.groupBy(scopes, groupOf)].toSorted(byOrder).flatMap(([group, held]) => {
    const all = expandScope(`${group}:*`)
    return all.length > 1 && all.every((scope) => held.includes(scope)) ? [`${group}:*`] : held
  })
}

/** A scope that is not known here stays as it is. */
const expanded = (pattern: string): readonly string[] => {
  const scopes = expandScope(pattern)
  return scopes.length > 0 ? scopes : [pattern]
}

const groupOf = (scope: string) => scope.split(':')[0] ?? scope

/** In the documentation's order; groups that it does not know come last. */
const byOrder = ([one]: [string, string[]], [other]: [string, string[]]) => rankOf(one) - rankOf(other)
const rankOf = (group: string) => (groups.includes(group) ? groups.indexOf(group) : groups.length)
