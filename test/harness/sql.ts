import postgres, { type Sql } from 'postgres'
import type { TestStack } from './stack.ts'

/** The platform's database as its administrator sees it: every schema. Close it with `end()`. */
export function administrate({ postgres: server }: Pick<TestStack, 'postgres'>): Sql {
  const url = Object.assign(new URL(server.url), { pathname: '/instatunnel' })
  return postgres(url.href, { max: 2, backoff: () => 0.1, onnotice: () => {} })
}
