import { status } from '@grpc/grpc-js'
import { isId } from '@instatunnel/kit/id'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Deps } from './deps.ts'

/** Refuses where no account has this id, which auth knows. */
export async function requireUser(
  userId: string,
  { auth, signal }: Pick<Deps, 'auth'> & { signal: AbortSignal },
): Promise<void> {
  if (!isId(userId, 'user_')) throw userNotFound()
  await auth.findUser({ userId }, { signal }).catch((error) => {
    throw error.code === status.NOT_FOUND ? userNotFound() : error
  })
}

const userNotFound = () => new Refusal('USER_NOT_FOUND', 'There is no such account')
