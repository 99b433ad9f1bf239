import { type Account, type Accounts, accountsOf } from '@instatunnel/test/accounts'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Home, openHome } from './home.ts'

/** Tunnels with the command, on the whole platform. */

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
    await run('tunnels', 'create', '3001', '--subdomain', 'named-by-it', '--response-timeout', '5m')
    const { tunnels } = await api('GET', '/v1/tunnels')
    expect(tunnels).toMatchObject([
      { name: 'named-by-it', subdomain: 'named-by-it', response_timeout: 300 },
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
