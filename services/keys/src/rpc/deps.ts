import type { Random } from '@instatunnel/kit/id'
import type { Sql } from '@instatunnel/kit/postgres'
import type { AuthClient } from '@instatunnel/kit/remote-auth'
import type { Peppers } from '@instatunnel/kit/secret'

/** What the handlers stand on; made once, in start.ts. */
export interface Deps {
  readonly sql: Sql
  readonly now: () => Date
  readonly random: Random
  readonly peppers: Peppers
  readonly auth: Pick<AuthClient, 'verifyKey'>
}
