import { databaseTime } from '@instatunnel/kit/clock'
import type { Unary } from '@instatunnel/kit/unary'
import type {
  GetTimeRequest,
  GetTimeResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import type { Deps } from './deps.ts'

/** Tells the time by the database's clock. */
export const getTime =
  ({ sql }: Deps): Unary<GetTimeRequest, GetTimeResponse> =>
  async () => ({ time: new Date(await databaseTime(sql)) })
