import { status } from '@grpc/grpc-js'
import { isId } from '@instatunnel/kit/id'
import type { Identity } from '@instatunnel/kit/identity'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Role } from '@instatunnel/kit/scope'
import type { Deps } from './deps.ts'

/** Whose a key is to be: the caller's where nobody else is wanted, whom auth must know. */
export async function ownerOf(
  caller: Identity,
  wanted: string | undefined,
  { auth, signal }: Pick<Deps, 'auth'> & { signal: AbortSignal },
): Promise<{ userId: string; role: Role }> {
  const userId = wanted ?? caller.userId
  if (userId === caller.userId) return caller
  if (!isId(userId, 'user_')) throw userNotFound()
  const { role } = await auth.findUser({ userId }, { signal }).catch((error) => {
    throw error.code === status.NOT_FOUND ? userNotFound() : error
  })
  return { userId, role: role === 'admin' ? 'admin' : 'user' }
}

const userNotFound = () => new Refusal('USER_NOT_FOUND', 'There is no user with this user_id')
