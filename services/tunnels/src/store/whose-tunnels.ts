import type { ISql } from '@instatunnel/kit/postgres'

/** Whose tunnels are meant: a user's, of the subdomains that match one of the patterns, or all where there are none. */
export interface WhoseTunnels {
  readonly userId: string
  readonly patterns: readonly string[]
}

/** The condition that rows of `tunnels` are these; kit/subdomain-pattern in SQL. */
export const areOf = (sql: ISql, { userId, patterns }: WhoseTunnels) =>
  patterns.length === 0
    ? sql`user_id = ${userId}`
    : sql`user_id = ${userId} and subdomain like any(${patterns.map(likePattern)}::text[])`

/** What LIKE reads as a pattern of its own is escaped first. */
const likePattern = (pattern: string) =>
  pattern
    .replace(/[\\%_]/g, '\\$&')
    .replaceAll('*', '%')
    .replaceAll('?', '_')
