import { type Account, type Accounts, accountsOf } from '@instatunnel/test/accounts'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { lineText } from '../src/terminal-text.ts'
import { type Home, openHome } from './home.ts'
import { startCommand } from './running.ts'

/** Keys with the command, on the whole platform. */

const admin = { email: 'admin@example.com', password: 'correct horse battery' }

let stack: TestStack
let people: Accounts
let ada: Account
let home: Home

beforeAll(async () => {
  stack = await startTestStack({
    settings: {
      INSTATUNNEL_ADMIN_EMAIL: admin.email,
      INSTATUNNEL_ADMIN_PASSWORD: admin.password,
      INSTATUNNEL_REPLICAS: '2',
    },
  })
  people = accountsOf(stack.call)
})
afterAll(() => stack.stop())
beforeEach(async () => {
  ada = await people.register()
  home = await openHome(stack.gateway.url)
  await use(ada.apiKey)
})
afterEach(() => home.remove())

const use = (key: string) => home.run(['auth', 'set-key', '-'], { input: key })
const run = (...args: string[]) => home.run(['keys', ...args])
const refused = (line: string) => ({ code: 1, stdout: '', stderr: `❌ ${line}\n` })
/** What was printed, line by line, columns apart. */
const cellsOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/))
const api = async (method: string, path: string, token = ada.token) =>
  (await stack.call(method, path, { token })).body
const statusWith = async (token: string, path = '/v1/tunnels') =>
  (await stack.call('GET', path, { token })).status

/** A key that is made with the command; as the API answers it. */
async function made(...args: string[]) {
  const { code, stdout, stderr } = await run('create', ...args, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

describe('instatunnel keys', () => {
  it('steer no terminal by what somebody has put into them', async () => {
    const hostile = '\u009b2J\u202egpj.exe\u200b\x1b]0;title\x07'
    const { api_key } = await made('Hostile', '--metadata', JSON.stringify({ [hostile]: hostile }))
    for (const args of [['show', api_key.id], ['show', api_key.id, '--json'], ['list']]) {
      const { code, stdout } = await run(...args)
      expect([code, lineText(stdout.replaceAll('\n', ''))]).toEqual([0, stdout.replaceAll('\n', '')])
    }
    expect(JSON.parse((await run('show', api_key.id, '--json')).stdout).metadata).toEqual({
      [hostile]: hostile,
    })
  })

  it('are made, listed, shown and revoked', async () => {
    const created = await run('create', 'CI/CD Key', '-p', 'tunnels:read,analytics:*', '--expires-in', '30d')
    const [shown] = (await api('GET', '/v1/auth/keys')).keys
    const secret = /🔑 API Key: (it_[0-9A-Za-z]{16})\n/.exec(created.stdout)?.[1] ?? ''
    expect(created).toEqual({
      code: 0,
      stdout: `✅ API key created\n🔑 API Key: ${secret}\n🆔 ID: ${shown.id}\n`,
      stderr: expect.stringContaining('It is not shown again'),
    })
    expect(Date.parse(shown.expires_at) - Date.parse(shown.created_at)).toBe(30 * 86_400_000)
    expect(await statusWith(secret)).toBe(200)

    const [header, first] = cellsOf((await run('list')).stdout)
    expect(header).toEqual(['ID', 'STATE', 'START', 'NAME', 'SCOPES', 'LAST USED', 'EXPIRES', 'REMAINING'])
    const row = [shown.id, 'active', secret.slice(0, 5), 'CI/CD Key', '2', expect.any(String), 'in 30 d', '–']
    expect(first).toEqual(row)
    expect((await run('show', shown.id)).stdout).toContain('\nPermissions:  tunnels:read, analytics:read\n')
    expect(JSON.parse((await run('show', shown.id, '--json')).stdout)).toMatchObject({ id: shown.id })

    expect(await run('delete', shown.id, '--reason', 'no longer in use')).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        /^✅ API key revoked: 2 of 2 replicas refuse it, 0 connections cut, (<?\d+ ms|1\.\d s)\n$/,
      ),
      stderr: `Within 24 hours this undoes it: instatunnel keys restore ${shown.id}\n`,
    })
    expect(await statusWith(secret)).toBe(401)
    expect(await run('delete', shown.id)).toEqual(refused('API key not found'))
  })

  it('may do all that their owner may where nothing is said, and have another prefix', async () => {
    const { api_key, key } = await made('Mine', '--prefix', 'acme_')
    expect(key).toMatch(/^acme_[0-9A-Za-z]{32}$/)
    expect(api_key).toEqual((await api('GET', '/v1/auth/keys')).keys[0])
    await use(key)
    expect((await home.run(['auth', 'test', '--scope', 'tunnels:*'])).code).toBe(0)
    expect((await home.run(['auth', 'status'])).stdout).toMatch(/^Current API Key: \*\*\*\.\.\.\w{3}\n/)
  })

  it('are listed whole, however many pages there are', async () => {
    const many = []
    // A few at once: the keys of one user are made one by one, and who waits for a second is refused.
    for (let n = 0; n < 20; n++)
      many.push(...(await Promise.all(Array.from({ length: 10 }, () => people.key(ada.token)))))
    const { keys } = JSON.parse((await run('list', '--json')).stdout)
    expect(keys).toHaveLength(201) // with the session's own
    expect(new Set(keys.map(({ id }: { id: string }) => id))).toEqual(
      new Set([...many.map(({ id }) => id), keys.at(-1).id]),
    )
  })

  it('are changed, and what is not named stays', async () => {
    const { api_key, key } = await made('Before', '-p', 'tunnels:read', '--metadata', '{"a":1}')
    const update = async (...args: string[]) => {
      const { code, stdout } = await run('update', api_key.id, ...args, '--json')
      expect(code).toBe(0)
      return JSON.parse(stdout)
    }
    expect(await update('--name', 'After', '--allow-ip', '203.0.113.0/24', '--expires-in', '1h')).toEqual({
      ...api_key,
      name: 'After',
      allowed_ips: ['203.0.113.0/24'],
      expires_at: expect.any(String),
      updated_at: expect.any(String),
    })
    expect(await statusWith(key)).toBe(403)
    const cleared = await update('--clear', 'allow-ip,metadata', '--expires-in', 'never')
    expect(cleared).toMatchObject({ name: 'After', allowed_ips: [], metadata: {} })
    expect(cleared).not.toHaveProperty('expires_at')
    expect(await statusWith(key)).toBe(200)
    expect(await update('--disable')).toMatchObject({ state: 'disabled', enabled: false })
    expect(await statusWith(key)).toBe(401)
    expect(await update('--enable', '--clear', 'permission')).toMatchObject({ state: 'active' })
    expect(await statusWith(key, '/v1/auth/keys')).toBe(200)
  })

  it('are rotated: the old secret works until the grace period ends, or is ended', async () => {
    const { api_key, key: old } = await made('Rotating')
    const rotated = await run('rotate', api_key.id, '--grace-period', '1h')
    const secret = /🔑 API Key: (it_[0-9A-Za-z]{16})\n/.exec(rotated.stdout)?.[1] ?? ''
    expect(rotated.stdout).toMatch(/\n⏳ The old secret works until .* UTC \(in 60 min\)\n$/)
    expect(await Promise.all([old, secret].map((key) => statusWith(key)))).toEqual([200, 200])
    expect((await run('show', api_key.id)).stdout).toMatch(
      /\nOld secret: {3}it_\*\*\*\.\.\.\w{3} works until /,
    )
    expect(await run('rotate', api_key.id, '--end-grace-period')).toEqual({
      code: 0,
      stdout: '✅ The old secret works no more\n',
      stderr: '',
    })
    expect(await Promise.all([old, secret].map((key) => statusWith(key)))).toEqual([401, 200])
    const { key } = JSON.parse((await run('rotate', api_key.id, '--json')).stdout)
    expect(await Promise.all([secret, key].map((one) => statusWith(one)))).toEqual([401, 200])
  })

  it('come back within a day, unless they leaked', async () => {
    const { api_key, key } = await made('Back')
    await run('delete', api_key.id)
    const [, row] = cellsOf((await run('list', '--state', 'revoked')).stdout)
    expect(row?.slice(0, 2)).toEqual([api_key.id, 'revoked'])
    const restored = await run('restore', api_key.id)
    expect({ code: restored.code, stderr: restored.stderr }).toEqual({ code: 0, stderr: '' })
    expect(restored.stdout).toContain('✅ API key restored\n')
    expect(await statusWith(key)).toBe(200)
    expect((await run('delete', api_key.id, '--reason', 'leaked')).stderr).toBe('')
    expect((await run('restore', api_key.id)).code).toBe(1)
    expect(await statusWith(key)).toBe(401)
  })

  it('tell which checks a request would meet', async () => {
    const { api_key } = await made('Reader', '-p', 'tunnels:read')
    const admitted = await run('explain', api_key.id, 'GET', '/v1/tunnels')
    expect(admitted.code).toBe(0)
    expect(admitted.stdout).toMatch(/^(✅ .+\n)+The request would be admitted\n$/)
    const stopped = await run('explain', api_key.id, 'POST', '/v1/tunnels')
    expect(stopped.code).toBe(0)
    expect(stopped.stdout).toMatch(/\n❌ scope .*tunnels:write/)
    expect(stopped.stdout).toMatch(/\nThe request would stop at scope\n$/)
    const json = JSON.parse((await run('explain', api_key.id, 'POST', '/v1/tunnels', '--json')).stdout)
    expect(json).toMatchObject({ allowed: false, stopped_at: 'scope' })
  })

  it('are refused with the scope that is missing', async () => {
    const { key } = await people.key(ada.token, { permissions: ['tunnels:read'] })
    await use(key)
    expect(await run('list')).toEqual(
      refused('Insufficient permissions for this operation (needs keys:manage)'),
    )
    expect(JSON.parse((await run('list', '--json')).stderr)).toEqual({
      error: 'forbidden',
      message: 'Insufficient permissions for this operation',
      required_scope: 'keys:manage',
      code: 4003,
    })
  })
})

describe('what only servers decide about a key', () => {
  it('is refused to users, with the scope that it needs', async () => {
    for (const option of [['--remaining', '1'], ['--no-rate-limit'], ['--user', ada.id]]) {
      const { code, stderr } = await run('create', 'x', ...option)
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('(needs admin:write)') })
    }
  })

  it('is set by admins, for others too', async () => {
    await use((await people.login(admin)).apiKey)
    const { api_key, key } = await made(
      'Trial',
      ...['--user', ada.id, '--remaining', '2', '--refill-amount', '5', '--refill-interval', '30d'],
      ...['--rate-limit-max', '100', '--rate-limit-window', '60s'],
    )
    expect(api_key).toMatchObject({
      user_id: ada.id,
      ...{ remaining: 2, refill_amount: 5, refill_interval: 2_592_000_000 },
      ...{ rate_limit_enabled: true, rate_limit_max: 100, rate_limit_time_window: 60_000 },
    })
    expect([await statusWith(key), await statusWith(key), await statusWith(key)]).toEqual([200, 200, 429])
    const cleared = await run('update', api_key.id, '--clear', 'refill,remaining,rate-limit', '--json')
    const now = JSON.parse(cleared.stdout)
    for (const field of ['remaining', 'refill_amount', 'refill_interval', 'rate_limit_max'])
      expect(now).not.toHaveProperty(field)
    expect(await statusWith(key)).toBe(200)
  })
})

describe('a key for some subdomains', () => {
  it('sees, makes and carries their tunnels alone, and what is made up for it fits', async () => {
    await people.tunnel(ada.token, { subdomain: 'elsewhere-1' })
    const { key } = await made('Preview', '-p', 'tunnels:*', '--allow-subdomain', 'preview-*')
    const other = await openHome(stack.gateway.url)
    try {
      await other.run(['auth', 'set-key', '-'], { input: key })
      expect((await other.run(['tunnels', 'list'])).stdout).toBe('No tunnels yet\n')
      expect(await other.run(['tunnels', 'create', '3000', '--subdomain', 'elsewhere-2'])).toEqual(
        refused('This key is for the subdomains preview-*: "elsewhere-2" is not one; choose another'),
      )
      expect(await other.run(['tunnels', 'delete', 'elsewhere-1'])).toEqual(
        refused('You have no tunnel with the subdomain "elsewhere-1"'),
      )
      const running = startCommand(other, ['3000', '--json'])
      expect(await running.told('tunnel')).toMatchObject({
        subdomain: expect.stringMatching(/^preview-[a-z]+-[a-z]+-/),
      })
      await running.told('connected')
      expect(await running.stop()).toBe(0)
    } finally {
      await other.remove()
    }
  })
})

describe('instatunnel admin', () => {
  it('invites somebody, who registers with the link; then suspends, restores and contains them', async () => {
    const root = await people.login(admin)
    await use(root.apiKey)
    const as = (...args: string[]) => home.run(['admin', ...args])
    const email = 'grace@example.com'
    const invited = JSON.parse((await as('invite', email, '--plan', 'pro', '--json')).stdout)
    expect((await as('invitations')).stdout).toContain(invited.invitation.id)

    const theirs = await openHome(stack.gateway.url)
    const words = ['register', '-e', email, '--invitation', '--secrets-stdin', '--json']
    const accept = () => theirs.run(words, { input: `${invited.url}\na long password\n` })
    const made = await accept()
    expect(made).toMatchObject({ code: 0, stderr: '' })
    const { user, api_key: key } = JSON.parse(made.stdout)
    expect(user).toMatchObject({ email, plan: 'pro', role: 'user' })
    expect((await theirs.run(['auth', 'status'])).stdout).toContain('Valid')
    expect(await accept()).toMatchObject({ code: 1, stdout: '' })
    await theirs.remove()

    expect(await as('suspend', email)).toEqual({ code: 0, stdout: `✅ Suspended ${email}\n`, stderr: '' })
    expect(await statusWith(key)).toBe(401)
    expect((await as('users', '--email', email)).stdout).toContain('suspended')
    expect(await as('restore', user.id)).toMatchObject({ code: 0, stdout: `✅ Restored ${email}\n` })
    const again = await people.login({ email, password: 'a long password' })
    expect((await as('sessions', email)).stdout).toMatch(/ses_/)
    expect((await as('revoke-keys', email)).stdout).toMatch(
      /^✅ 1 API key revoked: 2 of 2 replicas refuse them/,
    )
    expect(await as('end-sessions', email)).toMatchObject({ stdout: '✅ 1 session ended\n' })
    for (const credential of [again.apiKey, again.token]) expect(await statusWith(credential)).toBe(401)
    expect(await as('suspend', admin.email)).toEqual(
      refused('You cannot suspend your own account; another admin can'),
    )
  })
})
