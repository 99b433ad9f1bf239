import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { fieldsToSet } from '@instatunnel/kit/update-mask'
import { validate } from '@instatunnel/kit/validate'
import type { UpdateUserRequest } from '@instatunnel/proto/auth/v1/auth_service'
import type { User } from '@instatunnel/proto/auth/v1/user'
import { z } from 'zod'
import { changeUser } from '../change-user.ts'
import { nameField, usernameField, usernameFrom } from '../domain/account.ts'
import type { Deps } from './deps.ts'
import { userNotFound } from './user-not-found.ts'

const request = z.object({ name: nameField.optional(), username: usernameField.optional() })

/** Changes the caller's name or username; cleared, the name is empty and the username the e-mail's local part again. */
export const updateUser =
  (deps: Deps): Unary<UpdateUserRequest, User> =>
  async (input, call) => {
    const { name, username } = validate(request, input)
    const fields = fieldsToSet(input.updateMask, ['name', 'username'], (field) => input[field] !== undefined)
    const user = await changeUser(deps, identityOf(call).userId, deps.now(), async (before) => ({
      ...(fields.has('name') ? { name: name ?? '' } : {}),
      ...(fields.has('username') ? { username: username ?? usernameFrom(before.email) } : {}),
    }))
    if (!user) throw userNotFound()
    return user
  }
