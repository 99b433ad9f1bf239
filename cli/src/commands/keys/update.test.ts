import { describe, expect, it } from 'vitest'
import { plainKey } from '../../../test/key-answers.ts'
import { startRecording } from '../../../test/recording.ts'

const { id } = plainKey
const start = () => startRecording({ [`PATCH /v1/auth/keys/${id}`]: plainKey })

/** What the API is asked by a line of the shell. */
async function bodyOf(...args: string[]): Promise<unknown> {
  const { asked, run } = await start()
  expect((await run('keys', 'update', id, ...args)).code).toBe(0)
  expect(asked).toHaveLength(1)
  return asked[0]?.body
}

describe('keys update', () => {
  it('shows the key as it is now', async () => {
    const { run } = await start()
    const { code, stdout, stderr } = await run('keys', 'update', id, '--name', 'x')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(`✅ API key changed\nID:           ${id}\nName:         CI/CD Key\n`)
    expect(JSON.parse((await run('keys', 'update', id, '--name', 'x', '--json')).stdout)).toEqual(plainKey)
  })

  it.each([
    [['--name', 'New'], { name: 'New' }],
    [['--enable'], { enabled: true }],
    [['--disable'], { enabled: false }],
    [['--expires-in', '3600'], { expires_in: 3600 }],
    [['--expires-in', 'never'], { update_mask: 'expires_in' }],
    [['--rate-limit'], { rate_limit_enabled: true }],
    [['--no-rate-limit'], { rate_limit_enabled: false }],
    [['--remaining', '0', '-p', 'logs:read'], { remaining: 0, permissions: ['logs:read'] }],
    [['--metadata', '{}', '--allow-ip', '::1'], { metadata: {}, allowed_ips: ['::1'] }],
    [['--clear', 'metadata'], { update_mask: 'metadata' }],
    [['--clear', 'refill'], { update_mask: 'refill_amount,refill_interval' }],
    [
      [
        '--clear',
        'rate-limit,allow-ip',
        '--clear',
        'allow-subdomain',
        '--name',
        'x',
        '--expires-in',
        'never',
      ],
      {
        name: 'x',
        update_mask: 'name,rate_limit_max,rate_limit_time_window,allowed_ips,allowed_subdomains,expires_in',
      },
    ],
    [
      ['--clear', 'permission,remaining,expires-in', '--disable'],
      { enabled: false, update_mask: 'enabled,permissions,remaining,expires_in' },
    ],
  ])('%j asks for %j', async (args, body) => {
    expect(await bodyOf(...args)).toEqual(body)
  })

  it.each([
    [[], 'Name what is to change'],
    [['--clear', ''], 'It must name at least one'],
    [['--clear', 'name'], 'Allowed are permission, expires-in, metadata, allow-ip, allow-subdomain,'],
    [['--clear', 'toString'], 'Allowed are permission'],
    [['--clear', 'refill', '--refill-amount', '1'], "'refill' cannot be cleared and set at once"],
    [['--clear', 'expires-in', '--expires-in', '1d'], "'expires-in' cannot be cleared and set at once"],
    [['--enable', '--disable'], "Option '--enable' cannot be used with option '--disable'"],
    [['--user', 'user_1'], "Unknown option '--user'"],
    [['--prefix', 'x'], "Unknown option '--prefix'"],
  ])('refuses %j before anything is asked for', async (args, message) => {
    const { asked, run } = await start()
    const { code, stdout, stderr } = await run('keys', 'update', id, ...args)
    expect({ code, stdout, asked }).toEqual({ code: 2, stdout: '', asked: [] })
    expect(stderr).toContain(message)
  })
})
