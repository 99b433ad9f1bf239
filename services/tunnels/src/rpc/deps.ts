import type { Random } from '@instatunnel/kit/id'
import type { Plans } from '@instatunnel/kit/plans'
import type { Sql } from '@instatunnel/kit/postgres'
import type { Peppers } from '@instatunnel/kit/secret'
import type { PublicAddress } from '../domain/address.ts'
import type { CutConnections } from '../domain/cut.ts'
import type { Presence } from '../domain/presence.ts'
import type { TellRenamed } from '../domain/renamed.ts'
import type { TokenSafe } from '../domain/token-safe.ts'

/** What the handlers stand on; made once, in start.ts. */
export interface Deps {
  readonly sql: Sql
  readonly now: () => Date
  readonly random: Random
  readonly peppers: Peppers
  readonly safe: TokenSafe
  readonly plans: Plans
  readonly address: PublicAddress
  readonly regenerationsPerHour: number
  readonly presence: Presence
  readonly cutConnections: CutConnections
  readonly tellRenamed: TellRenamed
}
