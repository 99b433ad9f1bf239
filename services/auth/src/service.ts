import type { Handlers } from '@instatunnel/kit/unary'
import {
  type AuthorizationServiceServer,
  AuthorizationServiceService,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { type AdminServiceServer, AdminServiceService } from '@instatunnel/proto/auth/v1/admin_service'
import { type AuthServiceServer, AuthServiceService } from '@instatunnel/proto/auth/v1/auth_service'
import { adminUpdateUser } from './rpc/admin-update-user.ts'
import { authenticate } from './rpc/authenticate.ts'
import { changePassword } from './rpc/change-password.ts'
import { checkConnection } from './rpc/check-connection.ts'
import { createInvitation } from './rpc/create-invitation.ts'
import { deleteInvitation } from './rpc/delete-invitation.ts'
import type { Deps } from './rpc/deps.ts'
import { endUserSessions } from './rpc/end-user-sessions.ts'
import { explainKey } from './rpc/explain-key.ts'
import { findUser } from './rpc/find-user.ts'
import { getTime } from './rpc/get-time.ts'
import { getUser } from './rpc/get-user.ts'
import { listIdentityKeys } from './rpc/list-identity-keys.ts'
import { listInvitations } from './rpc/list-invitations.ts'
import { listSessions } from './rpc/list-sessions.ts'
import { listUserSessions } from './rpc/list-user-sessions.ts'
import { listUsers } from './rpc/list-users.ts'
import { login } from './rpc/login.ts'
import { logout } from './rpc/logout.ts'
import { register } from './rpc/register.ts'
import { revokeSession } from './rpc/revoke-session.ts'
import { updateUser } from './rpc/update-user.ts'
import { verifyKey } from './rpc/verify-key.ts'
import { whoAmI } from './rpc/who-am-i.ts'

/** Every rpc of auth. Envoy's Check is in rpc/check.ts. */
export const services = (deps: Deps) => [
  {
    definition: AuthServiceService,
    handlers: {
      register: register(deps),
      login: login(deps),
      logout: logout(deps),
      getUser: getUser(deps),
      updateUser: updateUser(deps),
      changePassword: changePassword(deps),
      whoAmI: whoAmI(deps),
      listSessions: listSessions(deps),
      revokeSession: revokeSession(deps),
    } satisfies Handlers<AuthServiceServer>,
  },
  {
    definition: AdminServiceService,
    handlers: {
      listUsers: listUsers(deps),
      updateUser: adminUpdateUser(deps),
      listUserSessions: listUserSessions(deps),
      endUserSessions: endUserSessions(deps),
      createInvitation: createInvitation(deps),
      listInvitations: listInvitations(deps),
      deleteInvitation: deleteInvitation(deps),
    } satisfies Handlers<AdminServiceServer>,
  },
  {
    definition: AuthorizationServiceService,
    handlers: {
      authenticate: authenticate(deps),
      verifyKey: verifyKey(deps),
      explainKey: explainKey(deps),
      checkConnection: checkConnection(deps),
      findUser: findUser(deps),
      listIdentityKeys: listIdentityKeys(deps),
      getTime: getTime(deps),
    } satisfies Handlers<AuthorizationServiceServer>,
  },
]
