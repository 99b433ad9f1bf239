import type { Command } from 'commander'
import type { Deps } from './deps.ts'

/** Makes a command: its words, options and help, and what it does. */
export type MakeCommand = (deps: Deps) => Command

/** Loads a command's module; only what was asked for is loaded. */
export type Load = () => Promise<MakeCommand>

/** Commands under a common first word. */
export interface Group {
  readonly description: string
  readonly commands: Readonly<Record<string, Load>>
}

/** The command that is meant where the first word is no command's: `instatunnel 3000`. */
export const defaultCommand = 'tunnel'

/** Every command, and where it is. */
export const commands: Readonly<Record<string, Load | Group>> = {
  [defaultCommand]: async () => (await import('./commands/tunnel.ts')).tunnel,
  login: async () => (await import('./commands/login.ts')).login,
  register: async () => (await import('./commands/register.ts')).register,
  auth: {
    description: 'log in and out, and test the key in use',
    commands: {
      login: async () => (await import('./commands/auth/login.ts')).authLogin,
      'set-key': async () => (await import('./commands/auth/set-key.ts')).authSetKey,
      status: async () => (await import('./commands/auth/status.ts')).authStatus,
      test: async () => (await import('./commands/auth/test.ts')).authTest,
      logout: async () => (await import('./commands/auth/logout.ts')).authLogout,
    },
  },
  tunnels: {
    description: 'manage tunnels',
    commands: {
      list: async () => (await import('./commands/tunnels/list.ts')).listTunnels,
      create: async () => (await import('./commands/tunnels/create.ts')).createTunnel,
      delete: async () => (await import('./commands/tunnels/delete.ts')).deleteTunnel,
      'regenerate-token': async () =>
        (await import('./commands/tunnels/regenerate-token.ts')).regenerateToken,
    },
  },
  keys: {
    description: 'manage API keys',
    commands: {
      list: async () => (await import('./commands/keys/list.ts')).listKeys,
      create: async () => (await import('./commands/keys/create.ts')).createKey,
      show: async () => (await import('./commands/keys/show.ts')).showKey,
      update: async () => (await import('./commands/keys/update.ts')).updateKey,
      rotate: async () => (await import('./commands/keys/rotate.ts')).rotateKey,
      delete: async () => (await import('./commands/keys/delete.ts')).deleteKey,
      restore: async () => (await import('./commands/keys/restore.ts')).restoreKey,
      explain: async () => (await import('./commands/keys/explain.ts')).explainKey,
    },
  },
  admin: {
    description: 'manage accounts, for administrators',
    commands: {
      users: async () => (await import('./commands/admin/users.ts')).adminUsers,
      suspend: async () => (await import('./commands/admin/suspend.ts')).adminSuspend,
      restore: async () => (await import('./commands/admin/restore.ts')).adminRestore,
      keys: async () => (await import('./commands/admin/keys.ts')).adminKeys,
      'revoke-keys': async () => (await import('./commands/admin/revoke-keys.ts')).adminRevokeKeys,
      sessions: async () => (await import('./commands/admin/sessions.ts')).adminSessions,
      'end-sessions': async () => (await import('./commands/admin/end-sessions.ts')).adminEndSessions,
      invite: async () => (await import('./commands/admin/invite.ts')).adminInvite,
      invitations: async () => (await import('./commands/admin/invitations.ts')).adminInvitations,
      'revoke-invitation': async () =>
        (await import('./commands/admin/revoke-invitation.ts')).adminRevokeInvitation,
    },
  },
  completion: async () => (await import('./commands/completion.ts')).completion,
}
