import { describe, expect, it } from 'vitest'
import { jsonText, lineText } from '../src/terminal-text.ts'
import { fullKey } from './key-answers.ts'
import { startRecording } from './recording.ts'

/** What a server, or who made something there, may put into every string of an answer. */
const HOSTILE = 'x\x1b]0;title\x07\x1b[2J\x7f\u009b31m\r\n\u202egpj.exe\u2066\u200b\u2028\u{e0041}'

const tunnel = {
  ...{ id: 'tun_1', name: 'Demo', subdomain: 'demo', local_port: 3000, token: 'itt_1', status: 'inactive' },
  ...{ domain: 'localhost', url: 'http://demo.localhost', ephemeral: false, user_id: 'user_1' },
  ...{ created_at: '2026-03-01T12:00:00Z', updated_at: '2026-03-01T12:00:00Z' },
}
const key = fullKey()
const withSecret = { api_key: key, key: 'it_1234567890abcdef' }
const receipt = { success: true, replicas_acked: 1, replicas_total: 2, connections_cut: 1, took_ms: 3 }
const who = {
  user: { id: 'user_1', email: 'ada@example.com' },
  plan: 'free',
  credential: { type: 'api_key', scopes: ['tunnels:read'] },
}
const check = { name: 'key', passed: true, message: 'it is one' }

/** Every command that shows an answer, and the answer. */
const shown: readonly [args: string[], call: string, answer: object][] = [
  [['keys', 'list'], 'GET /v1/auth/keys', { keys: [key], next_page_token: '' }],
  [['keys', 'show', 'key_1'], 'GET /v1/auth/keys/key_1', key],
  [['keys', 'create', 'x'], 'POST /v1/auth/keys', withSecret],
  [['keys', 'update', 'key_1', '--disable'], 'PATCH /v1/auth/keys/key_1', key],
  [['keys', 'rotate', 'key_1'], 'POST /v1/auth/keys/key_1/rotate', withSecret],
  [['keys', 'restore', 'key_1'], 'POST /v1/auth/keys/key_1/restore', key],
  [['keys', 'delete', 'key_1'], 'DELETE /v1/auth/keys/key_1', receipt],
  [
    ['keys', 'explain', 'key_1', 'GET', '/'],
    'POST /v1/auth/keys/key_1/explain',
    { allowed: false, stopped_at: 'key', checks: [check] },
  ],
  [['tunnels', 'list'], 'GET /v1/tunnels', { tunnels: [tunnel], next_page_token: '' }],
  [['tunnels', 'create', '3000'], 'POST /v1/tunnels', { success: true, tunnel }],
  [
    ['tunnels', 'regenerate-token', 'tun_1'],
    'POST /v1/tunnels/tun_1/regenerate-token',
    { success: true, token: 'itt_2', connections_cut: 1 },
  ],
  [['auth', 'test'], 'GET /v1/auth/whoami', who],
]

/** The answer with every string changed, but for times, secrets and page tokens, which have a form. */
function poisoned(value: unknown, name = ''): unknown {
  if (typeof value === 'string')
    return /_at$|^last_used|_until$|^key$|^token$|_token$/.test(name) ? value : `${value}${HOSTILE}`
  if (Array.isArray(value)) return value.map((item) => poisoned(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, poisoned(inner, field)]))
}

const named = (args: readonly string[]) => args.slice(0, 2).join(' ')

describe('a hostile answer', () => {
  it.each(shown.map((one) => [named(one[0]), ...one] as const))(
    'steers no terminal by %s, as lines or as JSON',
    async (_name, args, call, answer) => {
      const hostile = poisoned(answer) as object
      const { run } = await startRecording({ [call]: hostile })
      const { code, stdout, stderr } = await run(...args)
      expect([code, lineText(stdout.replaceAll('\n', ''))]).toEqual([0, stdout.replaceAll('\n', '')])
      expect(lineText(stderr.replaceAll('\n', ''))).toBe(stderr.replaceAll('\n', ''))
      const asJson = await run(...args, '--json')
      const { next_page_token: _, ...printed } = hostile as { next_page_token?: string }
      expect(asJson).toEqual({ code: 0, stdout: `${jsonText(printed, 2)}\n`, stderr: '' })
    },
  )

  it('steers no terminal where it is a refusal', async () => {
    const answer = { error: HOSTILE, message: HOSTILE, code: 4000, required_scope: HOSTILE }
    const { run } = await startRecording({}, answer)
    for (const args of [
      ['keys', 'list'],
      ['keys', 'list', '--json'],
    ]) {
      const { code, stderr } = await run(...args)
      expect([code, lineText(stderr.replaceAll('\n', ''))]).toEqual([1, stderr.replaceAll('\n', '')])
    }
  })

  it.each(shown.map((one) => [named(one[0]), ...one] as const))(
    'of another shape ends %s with exit code 3 and a plain sentence',
    async (_name, args, call, answer) => {
      const [field = ''] = Object.keys(answer).filter((one) => one !== 'success')
      for (const wrong of [[], {}, { ...answer, [field]: null }]) {
        const { run, url } = await startRecording({ [call]: wrong })
        const { code, stderr } = await run(...args)
        expect({ code, stderr }).toEqual({
          code: 3,
          stderr: expect.stringMatching(/^❌ .* as InstaTunnel's API does(: [a-z_.]+)?\n$/),
        })
        expect(stderr).toContain(url)
      }
    },
  )

  it.each([
    ['keys create', ['keys', 'create', 'x'], 'POST /v1/auth/keys'],
    ['keys rotate', ['keys', 'rotate', 'key_1'], 'POST /v1/auth/keys/key_1/rotate'],
  ])('loses no secret of %s that was just made', async (_name, args, call) => {
    const { run } = await startRecording({ [call]: { key: 'it_1234567890abcdef', api_key: { id: 1 } } })
    for (const json of [[], ['--json']]) {
      const { code, stdout } = await run(...args, ...json)
      expect([code, stdout]).toEqual([3, expect.stringContaining('it_1234567890abcdef')])
    }
  })
})
