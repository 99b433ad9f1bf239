/** Every scope that a credential may hold. */
export const SCOPES = [
  'account:read',
  'account:write',
  'admin:read',
  'admin:write',
  'alerts:read',
  'alerts:write',
  'analytics:read',
  'billing:read',
  'keys:manage',
  'logs:read',
  'org:manage',
  'tunnels:delete',
  'tunnels:read',
  'tunnels:stats',
  'tunnels:write',
  'users:manage',
] as const

/** One scope. */
export type Scope = (typeof SCOPES)[number]

/** What an account may be. */
export type Role = 'user' | 'admin'

const ADMIN_ONLY: ReadonlySet<string> = new Set(['admin:read', 'admin:write', 'users:manage', 'org:manage'])
const ALL: ReadonlySet<string> = new Set(SCOPES)

/** The scopes that an account of this role holds, sorted. */
export const scopesOfRole = (role: Role): readonly Scope[] =>
  role === 'admin' ? SCOPES : SCOPES.filter((scope) => !ADMIN_ONLY.has(scope))

/** True for one of the sixteen scopes. */
export const isScope = (text: string): text is Scope => ALL.has(text)

/** Expands one scope or pattern ("tunnels:*", "*"); empty where it matches no scope. */
export function expandScope(pattern: string): readonly Scope[] {
  if (pattern === '*') return SCOPES
  if (pattern.endsWith(':*')) return SCOPES.filter((scope) => scope.startsWith(pattern.slice(0, -1)))
  return isScope(pattern) ? [pattern] : []
}

/** Expands scopes and patterns into scopes, sorted, each once. What matches nothing adds nothing. */
export function expandScopes(patterns: readonly string[]): Scope[] {
  const found = new Set(patterns.flatMap(expandScope))
  return SCOPES.filter((scope) => found.has(scope))
}

/** The first scope, in order, that is asked for and not held; undefined where all are held. */
export const missingScope = (asked: readonly string[], held: ReadonlySet<string>): string | undefined =>
  asked.find((scope) => !held.has(scope))
