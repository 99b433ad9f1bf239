import type { Invitation } from '@instatunnel/proto/auth/v1/admin_service'
import type { Session } from '@instatunnel/proto/auth/v1/auth_service'
import type { User } from '@instatunnel/proto/auth/v1/user'
import type { Api } from '../api.ts'
import { Refused } from '../exit.ts'
import { fields, type Shape, text, time } from '../shape.ts'
import { allPages } from './all-pages.ts'
import type { Json } from './json.ts'
import { KEY_SHAPE, type Key } from './keys.ts'

/** What the command reads of an account. */
export const USER_SHAPE: Shape = fields({
  ...{ id: text, email: text, plan: text, role: text, status: text, created_at: time },
})

const SESSION_SHAPE: Shape = fields({
  ...{ id: text, address: text, user_agent: text, created_at: time, expires_at: time },
})

/** What the command reads of an invitation. */
export const INVITATION_SHAPE: Shape = fields({
  ...{ id: text, email: text, plan: text, role: text, created_at: time, expires_at: time },
})

/** Every account, or the one with this e-mail; newest first. */
export const listUsers = (api: Api, email?: string): Promise<Json<User>[]> =>
  allPages(api, { path: '/v1/admin/users', field: 'users', item: USER_SHAPE, query: { email } })

/** The id of the account that is named by its id or its e-mail. Refuses where no account has the e-mail. */
export async function userIdOf(api: Api, named: string): Promise<string> {
  if (!named.includes('@')) return named
  const [user] = await listUsers(api, named)
  if (!user) throw new Refused('not_found', `There is no account with the e-mail ${named}`)
  return user.id
}

/** The path of an account, and of what belongs to it: "keys" or "sessions". */
export const userPath = (id: string, part?: string) =>
  `/v1/admin/users/${encodeURIComponent(id)}${part === undefined ? '' : `/${part}`}`

/** Every key of an account in this state, or in any but revoked; newest first. */
export const listUserKeys = (api: Api, userId: string, state?: string): Promise<Key[]> =>
  allPages(api, { path: userPath(userId, 'keys'), field: 'keys', item: KEY_SHAPE, query: { state } })

/** Every live session of an account, newest first. */
export const listUserSessions = (api: Api, userId: string): Promise<Json<Session>[]> =>
  allPages(api, { path: userPath(userId, 'sessions'), field: 'sessions', item: SESSION_SHAPE })

/** Every invitation that is neither accepted nor expired, newest first. */
export const listInvitations = (api: Api): Promise<Json<Invitation>[]> =>
  allPages(api, { path: '/v1/admin/invitations', field: 'invitations', item: INVITATION_SHAPE })
