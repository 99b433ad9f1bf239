import { describe, expect, it, onTestFinished } from 'vitest'
import { openHome } from '../../../test/home.ts'
import { inDays, plainKey } from '../../../test/key-answers.ts'
import { type Recording, startRecording } from '../../../test/recording.ts'
import { openTerminal } from '../../../test/terminal.ts'

/** The commands of administrators: what they ask the API, and what they print. */

const user = {
  id: 'user_01h00000000000000000000001',
  email: 'ada@example.com',
  name: 'Ada',
  username: 'ada',
  plan: 'free',
  role: 'user',
  status: 'active',
  created_at: inDays(-3),
}
const path = `/v1/admin/users/${user.id}`
const session = {
  id: 'ses_01h00000000000000000000001',
  created_at: inDays(-1),
  expires_at: inDays(6),
  user_agent: 'curl/8',
  address: '192.0.2.1',
  current: false,
}
const invitation = {
  id: 'inv_01h00000000000000000000001',
  email: 'grace@example.com',
  plan: 'pro',
  role: 'user',
  invited_by: user.id,
  created_at: inDays(-1),
  expires_at: inDays(2),
}
const token = `iti_${'a'.repeat(32)}`
const url = `https://tunnels.example.com/invite#${token}`
const page = (items: object) => ({ ...items, next_page_token: '' })
const receipt = { success: true, keys_revoked: 2, replicas_acked: 1, replicas_total: 1 }

const answers = {
  'GET /v1/admin/users': page({ users: [user] }),
  [`PATCH ${path}`]: { ...user, status: 'suspended' },
  [`GET ${path}/keys`]: page({ keys: [plainKey] }),
  [`DELETE ${path}/keys`]: receipt,
  [`GET ${path}/sessions`]: page({ sessions: [session] }),
  [`DELETE ${path}/sessions`]: { success: true, sessions_ended: 1 },
  'POST /v1/admin/invitations': { invitation, token, url },
  'GET /v1/admin/invitations': page({ invitations: [invitation] }),
  [`DELETE /v1/admin/invitations/${invitation.id}`]: { success: true },
}
const cellsOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/))
const done = (stdout: string, stderr = '') => ({ code: 0, stdout, stderr })

describe('admin', () => {
  it('lists accounts, or the one with an e-mail', async () => {
    const { asked, run } = await startRecording(answers)
    expect(cellsOf((await run('admin', 'users')).stdout)).toEqual([
      ['ID', 'STATUS', 'ROLE', 'PLAN', 'E-MAIL', 'CREATED'],
      [user.id, 'active', 'user', 'free', user.email, '3 d ago'],
    ])
    await run('admin', 'users', '--email', user.email)
    expect(asked.map(({ call }) => call)).toEqual([
      'GET /v1/admin/users?page_size=200',
      'GET /v1/admin/users?email=ada%40example.com&page_size=200',
    ])
  })

  it('suspends and restores an account, by its id or its e-mail', async () => {
    const { asked, run } = await startRecording(answers)
    expect(await run('admin', 'suspend', user.id)).toEqual(done('✅ Suspended ada@example.com\n'))
    expect(await run('admin', 'restore', user.email)).toEqual(done('✅ Restored ada@example.com\n'))
    expect(asked).toEqual([
      { call: `PATCH ${path}`, body: { status: 'suspended' } },
      { call: 'GET /v1/admin/users?email=ada%40example.com&page_size=200' },
      { call: `PATCH ${path}`, body: { status: 'active' } },
    ])
  })

  it('says so where no account has the e-mail, and asks for nothing more', async () => {
    const { asked, run } = await startRecording({ 'GET /v1/admin/users': page({ users: [] }) })
    for (const command of ['suspend', 'restore', 'keys', 'revoke-keys', 'sessions', 'end-sessions'])
      expect(await run('admin', command, 'eve@example.com')).toEqual({
        code: 1,
        stdout: '',
        stderr: '❌ There is no account with the e-mail eve@example.com\n',
      })
    expect(new Set(asked.map(({ call }) => call.split(' ')[0]))).toEqual(new Set(['GET']))
  })

  it("lists an account's keys and revokes all of them, with a receipt", async () => {
    const { asked, run } = await startRecording(answers)
    const { stdout } = await run('admin', 'keys', user.id, '--state', 'active')
    expect(cellsOf(stdout)[1]).toEqual([
      plainKey.id,
      'active',
      'it_ab',
      'CI/CD Key',
      '2',
      'Never',
      'Never',
      '–',
    ])
    expect(await run('admin', 'revoke-keys', user.id, '--reason', 'leaked')).toEqual(
      done('✅ 2 API keys revoked: 1 of 1 replica refuses them\n'),
    )
    expect(asked.map(({ call }) => call)).toEqual([
      `GET ${path}/keys?state=active&page_size=200`,
      `DELETE ${path}/keys?reason=leaked`,
    ])
  })

  it('has the tokens of tunnels regenerated that leaked keys may have read, and says of which', async () => {
    const leaked = { ...receipt, tunnels: [{ id: 'tun_1', name: 'Docs' }], tunnels_known: true }
    const { asked, run } = await startRecording({
      [`DELETE ${path}/keys`]: { ...leaked, tokens_regenerated: true },
    })
    const { stderr } = await run('admin', 'revoke-keys', user.id, '--reason', 'leaked', '--regenerate')
    expect(stderr).toMatch(/^These tunnels have new tokens, .*: Docs \(tun_1\)\n$/)
    expect(asked.map(({ call }) => call)).toEqual([`DELETE ${path}/keys?reason=leaked&regenerate=true`])
  })

  it('says what is left open where a replica did not answer', async () => {
    const { run } = await startRecording({ [`DELETE ${path}/keys`]: { ...receipt, replicas_acked: 0 } })
    expect((await run('admin', 'revoke-keys', user.id)).stderr).toBe(
      'Where no answer came from, they are refused within 5 s\n',
    )
  })

  it("lists an account's sessions and ends all of them", async () => {
    const { run } = await startRecording(answers)
    expect(cellsOf((await run('admin', 'sessions', user.id)).stdout)).toEqual([
      ['ID', 'LOGGED IN', 'ENDS', 'ADDRESS', 'WITH'],
      [session.id, '24 h ago', 'in 6 d', '192.0.2.1', 'curl/8'],
    ])
    expect(await run('admin', 'end-sessions', user.id)).toEqual(done('✅ 1 session ended\n'))
  })

  it('invites, shows the link once, and how it is accepted without a browser', async () => {
    const { asked, run, url: api } = await startRecording(answers)
    expect(await run('admin', 'invite', invitation.email, '--plan', 'pro', '--role', 'user')).toEqual(
      done(
        `✅ Invited ${invitation.email}\n🔗 Link: ${url}\n`,
        'It is shown this once, and good for 72 hours. Without a browser this accepts it, and asks for it:\n' +
          `INSTATUNNEL_API=${api} instatunnel register --invitation -e ${invitation.email}\n`,
      ),
    )
    expect(asked[0]?.body).toEqual({ email: invitation.email, plan: 'pro', role: 'user' })
    const json = await run('admin', 'invite', invitation.email, '--json')
    expect([JSON.parse(json.stdout), json.stderr]).toEqual([{ invitation, token, url }, ''])
  })

  it('writes the command so that a shell reads the e-mail as one word', async () => {
    const { run } = await startRecording(answers)
    const { stderr } = await run('admin', 'invite', "o'$(reboot)@example.com")
    expect(stderr).toContain(`-e 'o'\\''$(reboot)@example.com'`)
  })

  it('lists and revokes invitations', async () => {
    const { run } = await startRecording(answers)
    expect(cellsOf((await run('admin', 'invitations')).stdout)[1]).toEqual([
      invitation.id,
      'user',
      'pro',
      invitation.email,
      'in 2 d',
    ])
    expect(await run('admin', 'revoke-invitation', invitation.id)).toEqual(done('✅ Invitation revoked\n'))
  })
})

describe('admin on a terminal', () => {
  async function opened(...args: string[]) {
    const recording: Recording = await startRecording(answers)
    const home = await openHome(recording.url)
    onTestFinished(() => home.remove())
    const env = { ...home.env, INSTATUNNEL_API_KEY: 'it_1234567890abcdef' }
    return { terminal: openTerminal({ ...home, env }, ['admin', ...args]), asked: recording.asked }
  }

  it('asks before it suspends, and does nothing after a no', async () => {
    const { terminal, asked } = await opened('suspend', user.id)
    await terminal.shows(`Suspend the account ${user.id}?`)
    terminal.type('n')
    expect(await terminal.exited).toBe(1)
    expect(asked).toEqual([])
  })

  it('does not ask with --yes', async () => {
    const { terminal, asked } = await opened('end-sessions', user.id, '--yes')
    expect(await terminal.exited).toBe(0)
    expect(asked).toEqual([{ call: `DELETE ${path}/sessions` }])
  })
})
