import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Account, type Accounts, accountsOf } from '@instatunnel/test/accounts'
import { aTime } from '@instatunnel/test/shapes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Home, type Outcome, openHome, type RunOptions } from './home.ts'
import { openTerminal } from './terminal.ts'

/** Logging in and out with the command, as the documentation shows it, on the whole platform. */

let stack: TestStack
let people: Accounts
let ada: Account
let home: Home

beforeAll(async () => {
  stack = await startTestStack()
  people = accountsOf(stack.call)
  ada = await people.register()
})
afterAll(() => stack.stop())
beforeEach(async () => {
  home = await openHome(stack.gateway.url)
})
afterEach(() => home.remove())

/** Runs a command; whatever it says on standard error, it must be no secret. */
async function run(args: string, options: RunOptions = {}): Promise<Outcome> {
  const outcome = await home.run(args.split(' '), options)
  for (const secret of people.secrets) expect(outcome.stderr).not.toContain(secret)
  return outcome
}

const done = (...lines: string[]) => ({
  code: 0,
  stdout: lines.map((line) => `${line}\n`).join(''),
  stderr: '',
})
const refused = (line: string) => ({ code: 1, stdout: '', stderr: `❌ ${line}\n` })
const usage = (line: string) => ({ code: 2, stdout: '', stderr: `❌ ${line}\n` })

const stored = async () => JSON.parse(await readFile(home.credentialsFile, 'utf8'))[stack.gateway.url]
const storedKey = async (): Promise<string> => (await stored()).api_key
const noneStored = () => expect(readFile(home.credentialsFile)).rejects.toHaveProperty('code', 'ENOENT')
const maskOf = (key: string) => `it_***...${key.slice(-3)}`
const setKey = (key: string) => run('auth set-key -', { input: `${key}\n` })
const whoAmI = (token: string) => stack.call('GET', '/v1/auth/whoami', { token })
const notLoggedIn = () =>
  refused(`Not logged in to ${stack.gateway.url}: run \`instatunnel login\`, or set INSTATUNNEL_API_KEY`)

/** Resolves once the platform refuses the credential. */
async function ended(token: string): Promise<void> {
  while ((await whoAmI(token)).status !== 401);
}

describe('instatunnel login', () => {
  it('asks for e-mail and password, hides the password, and keeps the key', async () => {
    const terminal = openTerminal(home, ['login'])
    await terminal.shows('📧 Email:')
    terminal.type(`${ada.email}\r`)
    await terminal.shows('🔒 Password:')
    terminal.type(`${ada.password}\r`)
    expect(await terminal.exited).toBe(0)
    const key = await storedKey()
    expect(await stored()).toEqual({ api_key: key, expires_at: aTime })
    expect(terminal.screen()).toContain(`✅ Login successful\r\n🔑 API Key: ${key}\r\n`)
    expect(terminal.screen()).not.toContain(ada.password)
    expect((await whoAmI(key)).body.user.email).toBe(ada.email)
  })

  it('keeps the key for its owner alone', async () => {
    await run(`auth login -e ${ada.email} --password-stdin`, { input: ada.password })
    const modeOf = async (path: string) => (await stat(path)).mode & 0o777
    expect(await modeOf(home.credentialsFile)).toBe(0o600)
    expect(await modeOf(dirname(home.credentialsFile))).toBe(0o700)
  })

  it('says no to a wrong password, and keeps nothing', async () => {
    const terminal = openTerminal(home, ['login'])
    await terminal.shows('📧 Email:')
    terminal.type(`${ada.email}\r`)
    await terminal.shows('🔒 Password:')
    terminal.type('not the password\r')
    expect(await terminal.exited).toBe(1)
    expect(terminal.screen()).toContain('❌ The e-mail or the password is not right')
    await noneStored()
  })

  it('can be given up', async () => {
    const terminal = openTerminal(home, ['login'])
    await terminal.shows('📧 Email:')
    terminal.type('\x03')
    expect(await terminal.exited).toBe(1)
    expect(terminal.screen()).toContain('❌ Cancelled')
    await noneStored()
  })

  it('names the way without a terminal', async () => {
    expect(await run('login')).toEqual(
      usage(
        'There is no terminal to ask on; use `instatunnel auth login -e E-MAIL --password-stdin` and write the password to standard input',
      ),
    )
  })
})

describe('instatunnel auth login', () => {
  it('reads the password from standard input', async () => {
    const outcome = await run(`auth login -e ${ada.email} --password-stdin`, { input: `${ada.password}\n` })
    expect(outcome).toEqual(done('✅ Login successful', `🔑 API Key: ${await storedKey()}`))
  })

  it('asks for the password alone', async () => {
    const terminal = openTerminal(home, ['auth', 'login', '-e', ada.email])
    await terminal.shows('🔒 Password:')
    expect(terminal.screen()).not.toContain('📧')
    terminal.type(`${ada.password}\r`)
    expect(await terminal.exited).toBe(0)
    expect(terminal.screen()).toContain(`🔑 API Key: ${await storedKey()}`)
    expect(terminal.screen()).not.toContain(ada.password)
  })

  it('answers programs as the API does', async () => {
    const { code, stdout } = await run(`auth login -e ${ada.email} --password-stdin --json`, {
      input: ada.password,
    })
    const { api_key, user } = JSON.parse(stdout)
    expect({ code, api_key, id: user.id }).toEqual({ code: 0, api_key: await storedKey(), id: ada.id })
  })

  it('refuses a wrong password, and keeps the key that there was', async () => {
    await setKey(ada.apiKey)
    const wrong = await run(`auth login -e ${ada.email} --password-stdin`, { input: 'not the password' })
    expect(wrong).toEqual(refused('The e-mail or the password is not right'))
    expect(await storedKey()).toBe(ada.apiKey)
  })

  it('refuses no password, and none without a terminal', async () => {
    expect(await run(`auth login -e ${ada.email} --password-stdin`)).toEqual(
      usage('There is no password on standard input'),
    )
    expect(await run(`auth login -e ${ada.email} --password-stdin`, { input: 'x'.repeat(5000) })).toEqual(
      usage('The password on standard input is too long'),
    )
    expect(await run(`auth login -e ${ada.email}`)).toEqual(
      usage('There is no terminal to ask on; give --password-stdin'),
    )
    const terminal = openTerminal(home, ['auth', 'login', '-e', ada.email, '--password-stdin'])
    expect(await terminal.exited).toBe(2)
    expect(terminal.screen()).toContain(
      '❌ The password is read from a pipe here, and standard input is a terminal',
    )
  })
})

describe('instatunnel auth set-key', () => {
  it('keeps a key, from the command line or from standard input, and shows it masked', async () => {
    const { key } = await people.key(ada.token)
    for (const outcome of [await run(`auth set-key ${key}`), await setKey(key)])
      expect(outcome).toEqual(done('✅ API key saved', `🔑 API Key: ${maskOf(key)}`))
    expect(await stored()).toEqual({ api_key: key })
  })

  it('refuses a key that does not work, and keeps the one that there was', async () => {
    await setKey(ada.apiKey)
    expect(await run('auth set-key it_1234567890abcdef')).toEqual(
      refused(`${stack.gateway.url} does not accept this key; it was not saved`),
    )
    expect(await storedKey()).toBe(ada.apiKey)
  })

  it('keeps a key unchecked while the API is not there', async () => {
    const env = { INSTATUNNEL_API: 'http://localhost:1' }
    expect(await run('auth set-key it_1234567890abcdef', { env })).toEqual({
      ...done('✅ API key saved', '🔑 API Key: it_***...def'),
      stderr: 'Not checked: http://localhost:1 does not answer: ECONNREFUSED\n',
    })
  })

  it('refuses no key', async () => {
    expect(await run('auth set-key -')).toEqual(usage('There is no key on standard input'))
    await noneStored()
  })
})

describe('instatunnel auth status', () => {
  it('shows a key that works, masked', async () => {
    await setKey(ada.apiKey)
    expect(await run('auth status')).toEqual(
      done(`Current API Key: ${maskOf(ada.apiKey)}`, 'Status: Valid', 'Expires: Never'),
    )
  })

  it('shows when the key ends', async () => {
    const { key } = await people.key(ada.token, { expires_in: 3600 })
    await setKey(key)
    const { expires_at } = (await whoAmI(key)).body.credential
    const day = `${expires_at.slice(0, 16).replace('T', ' ')} UTC`
    expect(await run('auth status')).toEqual(
      done(`Current API Key: ${maskOf(key)}`, 'Status: Valid', `Expires: ${day}`),
    )
    const { stdout } = await run('auth status --json')
    const key_ = { key: maskOf(key), status: 'valid', expires_at, from: 'stored', api: stack.gateway.url }
    expect(JSON.parse(stdout)).toEqual(key_)
  })

  it('shows that the key was revoked, and fails', async () => {
    const { id, key } = await people.key(ada.token)
    await setKey(key)
    await stack.call('DELETE', `/v1/auth/keys/${id}`, { token: ada.token })
    await ended(key)
    expect(await run('auth status')).toEqual({
      code: 1,
      stdout: `Current API Key: ${maskOf(key)}\nStatus: Invalid\n`,
      stderr: '❌ The API does not accept this key: run `instatunnel login`\n',
    })
  })

  it('shows that the time of the key is over, and fails', async () => {
    const { id, key } = await people.key(ada.token, { expires_in: 3600 })
    await setKey(key)
    // Its hour is over, as far as the command can tell, and the API accepts it no more.
    const expires_at = '2026-03-01T12:00:00Z'
    await writeFile(
      home.credentialsFile,
      JSON.stringify({ [stack.gateway.url]: { api_key: key, expires_at } }),
    )
    await stack.call('DELETE', `/v1/auth/keys/${id}`, { token: ada.token })
    await ended(key)
    const { code, stdout } = await run('auth status')
    const day = `${expires_at.slice(0, 16).replace('T', ' ')} UTC`
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: `Current API Key: ${maskOf(key)}\nStatus: Expired\nExpires: ${day}\n`,
    })
  })

  it('refuses where there is no key', async () => {
    expect(await run('auth status')).toEqual(notLoggedIn())
    const { code, stdout, stderr } = await run('auth status --json')
    expect({ code, stdout, error: JSON.parse(stderr).error }).toEqual({
      code: 1,
      stdout: '',
      error: 'not_logged_in',
    })
  })
})

describe('instatunnel auth test', () => {
  it('shows whose key it is and what it may do, as documented', async () => {
    const { key } = await people.key(ada.token, { permissions: ['tunnels:*', 'analytics:read'] })
    await setKey(key)
    expect(await run('auth test')).toEqual(
      done(
        '✅ API key is valid',
        `👤 User: ${ada.email}`,
        '📋 Plan: Free',
        '🔑 Permissions: tunnels:*, analytics:read',
      ),
    )
    const { stdout } = await run('auth test --json')
    expect(JSON.parse(stdout)).toEqual((await whoAmI(key)).body)
  })

  it('tests for one permission, or all that a pattern names', async () => {
    const { key } = await people.key(ada.token, {
      permissions: ['tunnels:read', 'tunnels:write', 'alerts:*'],
    })
    await setKey(key)
    for (const scope of ['tunnels:write', 'alerts:*'])
      expect(await run(`auth test --scope ${scope}`)).toEqual(done(`✅ Permission '${scope}' granted`))
    for (const scope of ['tunnels:delete', 'tunnels:*', '*'])
      expect(await run(`auth test --scope ${scope}`)).toEqual(refused(`Permission '${scope}' not granted`))
    expect(await run('auth test --scope keys:manage --json')).toEqual({
      code: 1,
      stdout: '',
      stderr:
        '{"error":"forbidden","message":"Permission \'keys:manage\' not granted","required_scope":"keys:manage"}\n',
    })
  })

  it('fails with a key that does not work', async () => {
    const env = { INSTATUNNEL_API_KEY: 'it_1234567890abcdef' }
    expect(await run('auth test', { env })).toEqual(refused('Invalid or missing API key'))
    expect(await run('auth test --json', { env })).toEqual({
      code: 1,
      stdout: '',
      stderr: '{"error":"unauthorized","message":"Invalid or missing API key","code":4001}\n',
    })
  })
})

describe('instatunnel auth logout', () => {
  it('ends the key on the server and forgets it', async () => {
    await run(`auth login -e ${ada.email} --password-stdin`, { input: ada.password })
    const key = await storedKey()
    expect(await run('auth logout')).toEqual(done('✅ Logged out'))
    await ended(key)
    expect(await run('auth status')).toEqual(notLoggedIn())
    expect(await run('auth logout')).toEqual(done('Nobody was logged in'))
  })

  it('forgets a key that has ended already', async () => {
    const { id, key } = await people.key(ada.token)
    await setKey(key)
    await stack.call('DELETE', `/v1/auth/keys/${id}`, { token: ada.token })
    await ended(key)
    expect(await run('auth logout')).toEqual(done('✅ Logged out'))
    expect(await stored()).toBeUndefined()
  })

  it('keeps the key where it cannot be ended, for it still works', async () => {
    const env = { INSTATUNNEL_API: 'http://localhost:1' }
    await run('auth set-key it_1234567890abcdef', { env })
    expect(await run('auth logout', { env })).toEqual({
      code: 3,
      stdout: '',
      stderr: '❌ http://localhost:1 does not answer: ECONNREFUSED\n',
    })
    expect((await readFile(home.credentialsFile, 'utf8')).includes('it_1234567890abcdef')).toBe(true)
  })

  it('leaves the key of the environment alone', async () => {
    const { key } = await people.key(ada.token)
    expect(await run('auth logout', { env: { INSTATUNNEL_API_KEY: key } })).toEqual(
      refused('No key is stored; that of INSTATUNNEL_API_KEY is left as it is'),
    )
    expect((await whoAmI(key)).status).toBe(200)
  })
})

describe('the key in use', () => {
  it('is that of INSTATUNNEL_API_KEY before the stored one, which is said when one is stored', async () => {
    const { key } = await people.key(ada.token)
    const env = { INSTATUNNEL_API_KEY: key }
    const login = await run(`auth login -e ${ada.email} --password-stdin`, { input: ada.password, env })
    expect(login.stderr).toBe('INSTATUNNEL_API_KEY is set, and goes before the stored key\n')
    expect((await run('auth status', { env })).stdout).toContain(maskOf(key))
    expect((await run('auth status')).stdout).toContain(maskOf(await storedKey()))
  })

  it('is that of the API that is called', async () => {
    await setKey(ada.apiKey)
    const env = { INSTATUNNEL_API: 'http://localhost:1' }
    expect((await run('auth status', { env })).stderr).toContain('Not logged in to http://localhost:1')
  })

  it('is kept from others again where its file was open to them', async () => {
    await setKey(ada.apiKey)
    await chmod(home.credentialsFile, 0o644)
    const { code, stderr } = await run('auth status')
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `${home.credentialsFile} was open to others; its mode is 0600 again. Make a new key if somebody may have read it.\n`,
    })
    expect((await stat(home.credentialsFile)).mode & 0o777).toBe(0o600)
  })
})
