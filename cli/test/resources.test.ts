import { type Account, type Accounts, accountsOf } from '@instatunnel/test/accounts'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Home, openHome } from './home.ts'

/** Tunnels and keys with the command, on the whole platform. */

let stack: TestStack
let people: Accounts
let ada: Account
let home: Home

beforeAll(async () => {
  stack = await startTestStack()
  people = accountsOf(stack.call)
})
afterAll(() => stack.stop())
beforeEach(async () => {
  ada = await people.register()
  home = await openHome(stack.gateway.url)
  await home.run(['auth', 'set-key', '-'], { input: ada.apiKey })
})
afterEach(() => home.remove())

const run = (...args: string[]) => home.run(args)
const refused = (line: string) => ({ code: 1, stdout: '', stderr: `❌ ${line}\n` })
/** What was printed, line by line, columns apart. */
const cellsOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/))
const api = async (method: string, path: string) =>
  (await stack.call(method, path, { token: ada.token })).body

describe('instatunnel tunnels', () => {
  it('are made, listed and deleted by their subdomain', async () => {
    expect(await run('tunnels', 'list')).toEqual({ code: 0, stdout: 'No tunnels yet\n', stderr: '' })
    const created = await run('tunnels', 'create', '3000', '--subdomain', 'docs-demo', '--name', 'My docs')
    const [tunnel] = (await api('GET', '/v1/tunnels')).tunnels
    expect(created).toEqual({
      code: 0,
      stdout: `✅ Tunnel created\n🌐 URL: ${tunnel.url}\n🆔 ID: ${tunnel.id}\n🔑 Token: ${tunnel.token}\n`,
      stderr: '',
    })
    expect(cellsOf((await run('tunnels', 'list')).stdout)).toEqual([
      ['ID', 'NAME', 'SUBDOMAIN', 'PORT', 'STATUS', 'LAST CONNECTED', 'URL'],
      [tunnel.id, 'My docs', 'docs-demo', '3000', 'inactive', 'Never', tunnel.url],
    ])
    expect(await run('tunnels', 'delete', 'Docs-Demo')).toEqual({
      code: 0,
      stdout: '✅ Tunnel deleted\n',
      stderr: '',
    })
    expect(await run('tunnels', 'delete', 'docs-demo')).toEqual(
      refused('You have no tunnel with the subdomain "docs-demo"'),
    )
  })

  it('get a name in lists, and a made-up subdomain, where none is given', async () => {
    await run('tunnels', 'create', '3000')
    await run('tunnels', 'create', '3001', '--subdomain', 'named-by-it')
    const { tunnels } = await api('GET', '/v1/tunnels')
    expect(tunnels).toMatchObject([
      { name: 'named-by-it', subdomain: 'named-by-it' },
      { name: 'Port 3000', subdomain: expect.stringMatching(/^[a-z]+-[a-z]+-/) },
    ])
  })

  it('get new tokens, by their id too', async () => {
    const { id, token, subdomain } = await people.tunnel(ada.token)
    for (const named of [id, subdomain]) {
      const { code, stdout } = await run('tunnels', 'regenerate-token', named)
      const now = (await api('GET', `/v1/tunnels/${id}`)).token
      expect(now).not.toBe(token)
      expect({ code, stdout }).toEqual({ code: 0, stdout: `✅ Token regenerated\n🔑 Token: ${now}\n` })
    }
    expect(await run('tunnels', 'regenerate-token', 'tun_1')).toEqual(refused('Tunnel not found'))
  })

  it('are told to programs as the API tells them', async () => {
    const created = await run('tunnels', 'create', '3000', '--json')
    const { tunnels } = await api('GET', '/v1/tunnels')
    expect(JSON.parse(created.stdout)).toEqual({ success: true, tunnel: tunnels[0] })
    expect(JSON.parse((await run('tunnels', 'list', '--json')).stdout)).toEqual({ tunnels })
    const { stdout } = await run('--json', 'tunnels', 'delete', tunnels[0].id)
    expect(JSON.parse(stdout)).toEqual({ success: true, message: 'Tunnel deleted' })
  })

  it('are refused with what the API says', async () => {
    await people.tunnel((await people.register()).token, { subdomain: 'taken-by-eve' })
    const create = ['tunnels', 'create', '3000', '--subdomain', 'taken-by-eve']
    const message = 'The subdomain "taken-by-eve" is already in use; choose another'
    expect(await run(...create)).toEqual(refused(message))
    const { code, stdout, stderr } = await run(...create, '--json')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(JSON.parse(stderr)).toEqual({ error: 'subdomain_taken', message, code: 4009 })
  })
})

describe('instatunnel keys', () => {
  it('are made, listed and revoked', async () => {
    const created = await run(
      'keys',
      'create',
      'CI/CD Key',
      '-p',
      'tunnels:read,analytics:*',
      '--expires-in',
      '30d',
    )
    const [shown] = (await api('GET', '/v1/auth/keys')).keys
    const secret = /🔑 API Key: (it_[0-9A-Za-z]{16})\n/.exec(created.stdout)?.[1] ?? ''
    expect(created).toEqual({
      code: 0,
      stdout: `✅ API key created\n🔑 API Key: ${secret}\n🆔 ID: ${shown.id}\n`,
      stderr: 'It is not shown again\n',
    })
    expect(Date.parse(shown.expires_at) - Date.parse(shown.created_at)).toBe(30 * 86_400_000)
    expect((await stack.call('GET', '/v1/tunnels', { token: secret })).status).toBe(200)

    const [header, first] = cellsOf((await run('keys', 'list')).stdout)
    const day = `${shown.expires_at.slice(0, 16).replace('T', ' ')} UTC`
    expect(header).toEqual(['ID', 'NAME', 'KEY', 'STATUS', 'EXPIRES', 'LAST USED', 'PERMISSIONS'])
    expect(first?.toSpliced(5, 1)).toEqual([
      shown.id,
      'CI/CD Key',
      `it_***...${secret.slice(-3)}`,
      'enabled',
      day,
      'tunnels:read, analytics:read',
    ])

    expect(await run('keys', 'delete', shown.id, '--reason', 'no longer in use')).toEqual({
      code: 0,
      stdout: '✅ API key revoked\n',
      stderr: '',
    })
    expect(await run('keys', 'delete', shown.id)).toEqual(refused('API key not found'))
  })

  it('may do all that their owner may where nothing is said, and have another prefix', async () => {
    const { stdout } = await run('keys', 'create', 'Mine', '--prefix', 'acme_', '--json')
    const { api_key, key } = JSON.parse(stdout)
    expect(key).toMatch(/^acme_[0-9A-Za-z]{32}$/)
    expect(api_key).toEqual((await api('GET', '/v1/auth/keys')).keys[0])
    await home.run(['auth', 'set-key', '-'], { input: key })
    expect((await run('auth', 'test', '--scope', 'tunnels:*')).code).toBe(0)
    expect((await run('auth', 'status')).stdout).toMatch(/^Current API Key: \*\*\*\.\.\.\w{3}\n/)
  })

  it('are listed whole, however many pages there are', async () => {
    const made = await Promise.all(Array.from({ length: 200 }, () => people.key(ada.token)))
    const { keys } = JSON.parse((await run('keys', 'list', '--json')).stdout)
    expect(keys).toHaveLength(201) // with the session's own
    expect(new Set(keys.map(({ id }: { id: string }) => id))).toEqual(
      new Set([...made.map(({ id }) => id), keys.at(-1).id]),
    )
  })

  it('are refused with the scope that is missing', async () => {
    const { key } = await people.key(ada.token, { permissions: ['tunnels:read'] })
    await home.run(['auth', 'set-key', '-'], { input: key })
    expect(await run('keys', 'list')).toEqual(
      refused('Insufficient permissions for this operation (needs keys:manage)'),
    )
    expect(JSON.parse((await run('keys', 'list', '--json')).stderr)).toEqual({
      error: 'forbidden',
      message: 'Insufficient permissions for this operation',
      required_scope: 'keys:manage',
      code: 4003,
    })
  })
})

describe('a platform that is not there', () => {
  it('ends every call with 3', async () => {
    const env = { INSTATUNNEL_API: 'http://localhost:1', INSTATUNNEL_API_KEY: 'it_1234567890abcdef' }
    for (const args of [
      ['tunnels', 'list'],
      ['keys', 'list'],
      ['auth', 'test'],
      ['auth', 'status'],
    ])
      expect(await home.run(args, { env })).toEqual({
        code: 3,
        stdout: '',
        stderr: '❌ http://localhost:1 does not answer: ECONNREFUSED\n',
      })
  })
})
