import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { GetUserRequest } from '@instatunnel/proto/auth/v1/auth_service'
import type { UserProfile } from '@instatunnel/proto/auth/v1/user'
import { dataSize } from '../domain/data-size.ts'
import { findUser } from '../store/user-store.ts'
import type { Deps } from './deps.ts'
import { userNotFound } from './user-not-found.ts'

/** Returns the caller's account with its usage. */
export const getUser =
  ({ sql, tunnels }: Deps): Unary<GetUserRequest, UserProfile> =>
  async (_, call) => {
    const { userId } = identityOf(call)
    const [user, used] = await Promise.all([
      findUser(sql, userId),
      tunnels.getUsage({ userId }, { signal: call.signal }),
    ])
    if (!user) throw userNotFound()
    const { tunnelsCount, tunnelsCreated, dataTransferredBytes, requestsServed } = used
    const dataTransferred = dataSize(dataTransferredBytes)
    return {
      ...user,
      tunnelsCount,
      usage: { tunnelsCreated, dataTransferred, dataTransferredBytes, requestsServed },
    }
  }
