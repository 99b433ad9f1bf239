import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { WhoAmIRequest, WhoAmIResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { findUser } from '../store/user-store.ts'
import type { Deps } from './deps.ts'
import { userNotFound } from './user-not-found.ts'

/** Returns who is calling, with what, and what it may do. */
export const whoAmI =
  ({ sql }: Deps): Unary<WhoAmIRequest, WhoAmIResponse> =>
  async (_, call) => {
    const { userId, credential, scopes } = identityOf(call)
    const user = await findUser(sql, userId)
    if (!user) throw userNotFound()
    const { type, id, masked = '', expiresAt } = credential
    const ends = expiresAt === undefined ? undefined : new Date(expiresAt * 1000)
    return {
      user,
      plan: user.plan,
      credential: { type, id, key: masked, scopes: [...scopes].sort(), expiresAt: ends },
    }
  }
