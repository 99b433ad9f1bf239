import { describe, expect, it } from 'vitest'
import { fullKey, inDays, plainKey } from '../../../test/key-answers.ts'
import { startRecording } from '../../../test/recording.ts'

/** What was printed, line by line, columns apart. */
const cellsOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/))

const page = (...keys: object[]) => ({ keys, next_page_token: '' })

describe('keys list', () => {
  it('is a table that people can read', async () => {
    const odd = {
      ...plainKey,
      name: 'two\nlines',
      permissions: ['*'],
      last_used: inDays(-1),
      state: 'expired',
    }
    const { run } = await startRecording({
      'GET /v1/auth/keys': page({ ...odd, expires_at: inDays(-2), remaining: 0 }, fullKey(), plainKey),
    })
    const { code, stdout, stderr } = await run('keys', 'list')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(cellsOf(stdout)).toEqual([
      ['ID', 'STATE', 'START', 'NAME', 'SCOPES', 'LAST USED', 'EXPIRES', 'REMAINING'],
      [plainKey.id, 'expired', 'it_ab', 'two lines', '16', '24 h ago', '2 d ago', '0'],
      [plainKey.id, 'revoked', 'it_ab', 'CI/CD Key', '2', '3 d ago', 'in 30 d', '97'],
      [plainKey.id, 'active', 'it_ab', 'CI/CD Key', '2', 'Never', 'Never', '–'],
    ])
  })

  it('asks for all pages of the state', async () => {
    const { asked, run } = await startRecording({
      'GET /v1/auth/keys?state=revoked&page_size=200': { keys: [fullKey()], next_page_token: 'more' },
      'GET /v1/auth/keys?state=revoked&page_size=200&page_token=more': page(plainKey),
    })
    const { code, stdout } = await run('keys', 'list', '--state', 'revoked', '--json')
    expect({ code, ids: JSON.parse(stdout).keys.map(({ state }: { state: string }) => state) }).toEqual({
      code: 0,
      ids: ['revoked', 'active'],
    })
    expect(asked).toHaveLength(2)
  })

  it('says so where there is none', async () => {
    const { run, asked } = await startRecording({ 'GET /v1/auth/keys': page() })
    expect((await run('keys', 'list')).stdout).toBe('No keys yet\n')
    expect((await run('keys', 'list', '--state', 'expired')).stdout).toBe('No expired keys\n')
    expect(asked.map(({ call }) => call)).toEqual([
      'GET /v1/auth/keys?page_size=200',
      'GET /v1/auth/keys?state=expired&page_size=200',
    ])
  })

  it('knows which states there are', async () => {
    const { run } = await startRecording({})
    const { code, stderr } = await run('keys', 'list', '--state', 'gone')
    expect(code).toBe(2)
    expect(stderr).toContain('Allowed choices are active, disabled, expired, revoked.')
  })
})
