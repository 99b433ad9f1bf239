import { isId } from '@instatunnel/kit/id'
import type { Unary } from '@instatunnel/kit/unary'
import type {
  FindUserRequest,
  FindUserResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { findUser as selectUser } from '../store/user-store.ts'
import type { Deps } from './deps.ts'
import { userNotFound } from './user-not-found.ts'

/** Tells what an account may do. */
export const findUser =
  ({ sql }: Deps): Unary<FindUserRequest, FindUserResponse> =>
  async ({ userId }) => {
    const user = isId(userId, 'user_') ? await selectUser(sql, userId) : undefined
    if (!user) throw userNotFound()
    return { role: user.role }
  }
