import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { visitorOf } from '@instatunnel/test/visitor'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Home, openHome } from './home.ts'
import { startHttp, unusedPort } from './local-servers.ts'
import { type RunningCommand, startCommand } from './running.ts'
import { openTerminal } from './terminal.ts'

/** `instatunnel PORT` as people run it, on the whole platform. */

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
})
afterEach(() => home.remove())

const start = (args: string, key = ada.apiKey): RunningCommand =>
  startCommand(home, args.split(' '), { INSTATUNNEL_API_KEY: key })

/** A local server that says what it is asked for. */
const startEcho = async (): Promise<number> =>
  (await startHttp((request, response) => response.end(`${request.headers.host} ${request.url}`))).port

const tunnels = async () => bodyOf(await stack.call('GET', '/v1/tunnels', { token: ada.token })).tunnels

/** Asks for a path at a tunnel's address. */
const visit = (url: unknown, path = '/') =>
  visitorOf(stack, new URL(String(url)).hostname.split('.')[0] ?? '').get(path)

let names = 0
const newName = () => `story-${process.pid}-${names++}`

describe('instatunnel PORT', () => {
  it('makes the port reachable while it runs, tells each request, and leaves nothing behind', async () => {
    const port = await startEcho()
    const running = start(`${port} --json`)
    const { url, subdomain, ephemeral } = await running.told('tunnel')
    expect(ephemeral).toBe(true)
    expect((await running.told('connected')).url).toBe(url)
    const { status, text } = await visit(url, '/a?b=c')
    expect([status, text]).toEqual([200, `${subdomain}.localhost:${stack.gateway.port} /a?b=c`])
    const request = await running.told('request')
    expect(request).toMatchObject({ method: 'GET', path: '/a?b=c', status: 200, bytes: text.length })
    expect(await tunnels()).toMatchObject([{ url, local_port: port, status: 'active', ephemeral: true }])
    expect(await running.stop('SIGINT')).toBe(0)
    expect(running.stderr()).toBe('')
    expect(await tunnels()).toEqual([])
    expect((await visit(url)).status).toBe(404)
    for (const secret of people.secrets) expect(running.stdout()).not.toContain(secret)
  })

  it('says the same in lines for people', async () => {
    const port = await startEcho()
    const running = start(`${port}`)
    await running.says(`→ http://localhost:${port}\n`)
    const [, url = ''] = /^🌐 (http:\S+) → /.exec(running.stdout()) ?? []
    await visit(url, '/a')
    await running.says(/^GET \/a 200 (<?\d+) ms$/m)
    expect(await running.stop('SIGTERM')).toBe(0)
    expect(running.stderr()).toBe('')
  })

  it('may be run as often as one likes on any plan', async () => {
    for (let nth = 0; nth < 5; nth++) {
      const running = start('3000 --json')
      await running.told('connected')
      expect(await running.stop('SIGHUP')).toBe(0)
    }
    const [first, second, third] = ['1', '2', '3'].map((port) => start(`${port} --json`))
    for (const running of [first, second, third]) await running?.told('connected')
    const fourth = start('4 --json')
    expect(await fourth.exited).toBe(1)
    expect(JSON.parse(fourth.stderr())).toMatchObject({ error: 'plan_limit' })
  })

  it('says so once where nothing listens on the port, and carries on', async () => {
    const port = await unusedPort()
    const running = start(`${port}`)
    await running.says(`Nothing listens on port ${port} yet: visitors are told so until something does\n`)
    await running.says('→ http://localhost')
    const [, url = ''] = /^🌐 (\S+)/.exec(running.stdout()) ?? []
    expect((await visit(url)).status).toBe(502)
    await running.says(/^GET \/ 502 .*nothing takes connections on the port \(ECONNREFUSED\)/m)
    expect(running.stderr().match(/Nothing listens/g)).toHaveLength(1)
    expect(await running.stop()).toBe(0)
  })

  it('finishes what it is answering before it ends', async () => {
    const asked = Promise.withResolvers<() => void>()
    const { port } = await startHttp((_request, response) => asked.resolve(() => response.end('whole')))
    const running = start(`${port} --json`)
    const { url } = await running.told('connected')
    const answer = visit(url)
    const finish = await asked.promise
    running.child.kill('SIGINT')
    await running.told('stopping')
    finish()
    expect((await answer).text).toBe('whole')
    expect(await running.exited).toBe(0)
  })

  it('ends at once at the second Ctrl-C', async () => {
    const asked = Promise.withResolvers<void>()
    const { port } = await startHttp(() => asked.resolve())
    const running = start(`${port} --json`)
    const { url } = await running.told('connected')
    const answer = visit(url)
    await asked.promise
    running.child.kill('SIGINT')
    await running.told('stopping')
    // One so soon after the first is taken for the same.
    const impatient = setInterval(() => running.child.kill('SIGINT'), 100)
    expect(await running.exited).toBe(1)
    clearInterval(impatient)
    expect((await answer).status).toBe(502)
  })

  it('is back under its name after a time away so long that the API has let the tunnel go', async () => {
    const port = await startEcho()
    const running = start(`${port} --json`)
    const { id, url } = await running.told('tunnel')
    await running.told('connected')
    running.child.kill('SIGSTOP')
    await expect.poll(async () => (await visit(url)).status, { timeout: 15_000 }).toBe(502)
    bodyOf(await stack.call('DELETE', `/v1/tunnels/${id}`, { token: ada.token }))
    running.child.kill('SIGCONT')
    const again = await running.told('tunnel', 2)
    expect(again).toMatchObject({ url, ephemeral: true })
    await running.told('connected', 2)
    expect((await visit(url, '/again')).status).toBe(200)
    expect(await running.stop()).toBe(0)
    expect(await tunnels()).toEqual([])
  }, 40_000)
})

describe('instatunnel PORT --subdomain', () => {
  it("makes a tunnel that stays the account's, and carries it again with another port and name", async () => {
    const name = newName()
    const [before, after] = [await startEcho(), await startEcho()]
    const first = start(`${before} --json --subdomain ${name}`)
    const { id, url } = await first.told('tunnel')
    await first.told('connected')
    expect((await visit(url)).status).toBe(200)
    expect(await first.stop()).toBe(0)
    expect(await tunnels()).toMatchObject([
      { id, name, local_port: before, status: 'inactive', ephemeral: false },
    ])
    expect((await visit(url)).status).toBe(502)
    const changes = '--name Docs --response-timeout 0'
    const second = start(`${after} --json --subdomain ${name.toUpperCase()} ${changes}`)
    expect(await second.told('tunnel')).toMatchObject({ id, url, local_port: after })
    await second.told('connected')
    expect((await visit(url)).status).toBe(200)
    expect(await second.stop()).toBe(0)
    expect(await tunnels()).toMatchObject([{ id, name: 'Docs', local_port: after, response_timeout: 0 }])
  })

  it('refuses a name that somebody else has', async () => {
    const grace = await people.register()
    const { subdomain } = await people.tunnel(grace.token)
    const running = start(`3000 --subdomain ${subdomain}`)
    expect(await running.exited).toBe(1)
    expect(running.stderr()).toMatch(/^❌ .*\n$/)
    expect(running.stdout()).toBe('')
  })

  it('shares a tunnel with another command, and one leaving is not noticed', async () => {
    const name = newName()
    const servers = await Promise.all(
      ['one', 'two'].map((text) => startHttp((_request, response) => response.end(text))),
    )
    const running = servers.map(({ port }) => start(`${port} --json --subdomain ${name}`))
    const [url] = await Promise.all(running.map(async (each) => (await each.told('connected')).url))
    const seen = new Set<string>()
    while (seen.size < 2) seen.add((await visit(url)).text)
    expect([...seen].sort()).toEqual(['one', 'two'])
    const statuses: number[] = []
    const stopped = running[0]?.stop()
    for (let nth = 0; nth < 50; nth++) statuses.push((await visit(url)).status)
    expect(await stopped).toBe(0)
    expect(new Set(statuses)).toEqual(new Set([200]))
  })
})

describe('what ends a tunnel', () => {
  /** A key of its own, with what the command needs. */
  const newKey = () => people.key(ada.token, { permissions: ['tunnels:read', 'tunnels:write'] })

  it.each<[string, string, (id: string, tunnelId: string) => Promise<unknown>]>([
    [
      'its key is revoked',
      'key_revoked',
      (id) => stack.call('DELETE', `/v1/auth/keys/${id}`, { token: ada.token }),
    ],
    [
      'its key is disabled',
      'key_disabled',
      (id) => stack.call('PATCH', `/v1/auth/keys/${id}`, { token: ada.token, body: { enabled: false } }),
    ],
    [
      'it is deleted',
      'tunnel_deleted',
      (_id, tunnelId) => stack.call('DELETE', `/v1/tunnels/${tunnelId}`, { token: ada.token }),
    ],
  ])('is told where %s, and the command fails', async (_what, error, end) => {
    const { id, key } = await newKey()
    const running = start(`3000 --json --subdomain ${newName()}`, key)
    const { id: tunnelId } = await running.told('tunnel')
    await running.told('connected')
    const before = performance.now()
    await end(id, String(tunnelId))
    expect(await running.exited).toBe(1)
    expect(performance.now() - before).toBeLessThan(3000)
    expect(JSON.parse(running.stderr())).toEqual({ error, message: expect.any(String) })
  })

  it('is told to people in a sentence', async () => {
    const { id, key } = await newKey()
    const running = start(`3000 --subdomain ${newName()}`, key)
    await running.says('→ http://localhost:3000')
    await stack.call('DELETE', `/v1/auth/keys/${id}`, { token: ada.token })
    expect(await running.exited).toBe(1)
    expect(running.stderr()).toContain('❌ The API key was revoked\n')
  })
})

describe('instatunnel PORT, not as it must be used', () => {
  it.each([
    ['0', 'must be a port'],
    ['65536', 'must be a port'],
    ['localhost:3000', 'must be a port'],
    ['3000 4000', 'Too many arguments'],
    ['3000 --transport v1', 'go with --mcp'],
    ['3000 --mcp-path /x', 'go with --mcp'],
    ['3000 --mcp --transport v3', 'v1, v2'],
    ['3000 --mcp --mcp-path x', 'must be a path'],
    ['3000 --host-header a\tb', 'must be a host'],
  ])('%s is refused before anything is asked for', async (args, message) => {
    const running = start(args)
    expect(await running.exited).toBe(2)
    expect(running.stderr()).toContain(message)
    expect(await tunnels()).toEqual([])
  })

  it('says who is not logged in, and which API does not answer', async () => {
    const nobody = startCommand(home, ['3000'])
    expect(await nobody.exited).toBe(1)
    expect(nobody.stderr()).toContain('Not logged in')
    const port = await unusedPort()
    const env = { INSTATUNNEL_API: `http://127.0.0.1:${port}`, INSTATUNNEL_API_KEY: ada.apiKey }
    const away = startCommand(home, ['3000'], env)
    expect(await away.exited).toBe(3)
    expect(away.stderr()).toContain('ECONNREFUSED')
  })
})

describe('instatunnel PORT --host-header', () => {
  it.each([
    ['rewrite', (port: number) => `localhost:${port} /`],
    ['internal.example:81', () => 'internal.example:81 /'],
  ])('%s is what the local server is told', async (value, expected) => {
    const port = await startEcho()
    const running = start(`${port} --json --host-header ${value}`)
    const { url } = await running.told('connected')
    expect((await visit(url)).text).toBe(expected(port))
  })
})

describe('on a terminal', () => {
  it('a live screen shows address, status and requests, and is gone after Ctrl-C', async () => {
    const port = await startEcho()
    const name = newName()
    const env = { ...home.env, INSTATUNNEL_API_KEY: ada.apiKey }
    const terminal = openTerminal({ ...home, env }, [`${port}`, '--subdomain', name])
    await terminal.shows('to the relay')
    const url = `http://${name}.localhost:${stack.gateway.port}`
    expect(terminal.screen()).toContain(`Address   ${url}`)
    await visit(url, '/seen')
    await terminal.shows('GET     /seen')
    terminal.type('\x03')
    expect(await terminal.exited).toBe(0)
    expect(terminal.screen()).toContain('stopping, what is in flight finishes')
  })
})
