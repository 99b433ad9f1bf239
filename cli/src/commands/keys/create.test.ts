import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { plainKey } from '../../../test/key-answers.ts'
import { startRecording } from '../../../test/recording.ts'

const answer = { api_key: plainKey, key: 'it_1234567890abcdef' }
const start = () => startRecording({ 'POST /v1/auth/keys': answer })

/** What the API is asked by a line of the shell. */
async function bodyOf(...args: string[]): Promise<unknown> {
  const { asked, run } = await start()
  expect((await run('keys', 'create', ...args)).code).toBe(0)
  expect(asked.map(({ call }) => call)).toEqual(['POST /v1/auth/keys'])
  return asked[0]?.body
}

it('shows the secret, and says that it does so this once and where to put it', async () => {
  const { run } = await start()
  expect(await run('keys', 'create', 'CI/CD Key')).toEqual({
    code: 0,
    stdout: `✅ API key created\n🔑 API Key: ${answer.key}\n🆔 ID: ${plainKey.id}\n`,
    stderr:
      'It is not shown again: put it where you keep secrets; `instatunnel auth set-key -` reads it for use here\n',
  })
})

it('prints what the API answers with --json, and no hint', async () => {
  const { run } = await start()
  const { code, stdout, stderr } = await run('keys', 'create', 'x', '--json')
  expect({ code, answer: JSON.parse(stdout), stderr }).toEqual({ code: 0, answer, stderr: '' })
})

it('asks for no more than what is said', async () => {
  expect(await bodyOf('Mine')).toEqual({ name: 'Mine' })
})

it('asks for all that can be said', async () => {
  const said = [
    ...['-p', 'tunnels:read', '--permission', 'logs:read,analytics:*', '--expires-in', '30d'],
    ...['--prefix', 'acme_', '--metadata', '{"team":"docs","n":[1]}', '--user', 'user_1'],
    ...['--remaining', '0', '--refill-amount', '9007199254740992', '--refill-interval', '12h'],
    ...['--rate-limit-max', '10', '--rate-limit-window', '500ms', '--no-rate-limit'],
    ...['--allow-ip', '203.0.113.0/24', '--allow-ip', '2001:db8::/32,198.51.100.7'],
    ...['--allow-subdomain', 'docs-*', '--allow-subdomain', 'api-?'],
  ]
  expect(await bodyOf('Full', ...said)).toEqual({
    name: 'Full',
    permissions: ['tunnels:read', 'logs:read', 'analytics:*'],
    expires_in: 2_592_000,
    prefix: 'acme_',
    metadata: { team: 'docs', n: [1] },
    user_id: 'user_1',
    remaining: 0,
    refill_amount: 2 ** 53,
    refill_interval: 43_200_000,
    rate_limit_enabled: false,
    rate_limit_max: 10,
    rate_limit_time_window: 500,
    allowed_ips: ['203.0.113.0/24', '2001:db8::/32', '198.51.100.7'],
    allowed_subdomains: ['docs-*', 'api-?'],
  })
})

it('takes permissions by their plural as well', async () => {
  expect(await bodyOf('x', '--permissions', 'tunnels:read,logs:read')).toEqual({
    name: 'x',
    permissions: ['tunnels:read', 'logs:read'],
  })
})

it('reads metadata from a file', async () => {
  const file = join(tmpdir(), `instatunnel-metadata-${process.pid}.json`)
  await writeFile(file, '{\n  "from": "a file"\n}\n')
  onTestFinished(() => rm(file))
  expect(await bodyOf('x', '--metadata', `@${file}`)).toEqual({ name: 'x', metadata: { from: 'a file' } })
})

it.each([
  ['--metadata', '[1]', 'It must be a JSON object, or @ and the path of a file with one.'],
  ['--metadata', '{', 'It must be a JSON object, or @ and the path of a file with one.'],
  ['--metadata', '@/nowhere.json', 'It must be a JSON object, or @ and the path of a file with one.'],
  ['--remaining', '-1', 'It must be a whole number, 0 to 2^53.'],
  ['--remaining', '1.5', 'It must be a whole number, 0 to 2^53.'],
  ['--refill-amount', '9007199254740993', 'It must be a whole number, 0 to 2^53.'],
  ['--refill-interval', '1w', 'It must be seconds, or a number with ms, s, m, h or d: 15m.'],
  ['--rate-limit-window', '0ms', 'It must be seconds, or a number with ms, s, m, h or d: 15m.'],
  ['--expires-in', 'never', 'It must be seconds, or a number with s, m, h or d: 30d.'],
])('refuses %s %s before anything is asked for', async (option, value, message) => {
  const { asked, run } = await start()
  const { code, stdout, stderr } = await run('keys', 'create', 'x', option, value)
  expect({ code, stdout, asked }).toEqual({ code: 2, stdout: '', asked: [] })
  expect(stderr).toMatch(/^❌ Option .*\n$/)
  expect(stderr).toContain(message)
})
