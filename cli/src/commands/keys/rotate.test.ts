import { describe, expect, it } from 'vitest'
import { inDays, plainKey } from '../../../test/key-answers.ts'
import { startRecording } from '../../../test/recording.ts'

const path = `/v1/auth/keys/${plainKey.id}/rotate`
const key = 'it_fedcba0987654321'
const old = { key: 'it_***...abc', rotated_at: inDays(-1), ends_at: inDays(7) }

describe('keys rotate', () => {
  it('shows the new secret, this once, and that the old one has ended', async () => {
    const { asked, run } = await startRecording({ [`POST ${path}`]: { api_key: plainKey, key } })
    expect(await run('keys', 'rotate', plainKey.id)).toEqual({
      code: 0,
      stdout: `✅ API key rotated\n🔑 API Key: ${key}\n⏳ The old secret works no more\n`,
      stderr: expect.stringContaining('It is not shown again: '),
    })
    expect(asked).toEqual([{ call: `POST ${path}`, body: {} }])
  })

  it.each([
    ['1h', 3600],
    ['0', 0],
    ['2592000', 2_592_000],
  ])('asks for a grace period of %s, and says until when the old secret works', async (time, seconds) => {
    const answer = { api_key: { ...plainKey, old_secret: old }, key }
    const { asked, run } = await startRecording({ [`POST ${path}`]: answer })
    const { stdout } = await run('keys', 'rotate', plainKey.id, '--grace-period', time)
    expect(stdout).toMatch(/\n⏳ The old secret works until \d{4}-\d\d-\d\d \d\d:\d\d UTC \(in 7 d\)\n$/)
    expect(asked).toEqual([{ call: `POST ${path}`, body: { grace_period: seconds } }])
    const json = await run('keys', 'rotate', plainKey.id, '--json')
    expect([JSON.parse(json.stdout), json.stderr]).toEqual([answer, ''])
  })

  it('ends a grace period without another secret', async () => {
    const { asked, run } = await startRecording({ [`DELETE ${path}`]: plainKey })
    expect(await run('keys', 'rotate', plainKey.id, '--end-grace-period')).toEqual({
      code: 0,
      stdout: '✅ The old secret works no more\n',
      stderr: '',
    })
    expect(asked).toEqual([{ call: `DELETE ${path}` }])
  })

  it.each([
    [['--grace-period', '-1'], 'It must be seconds'],
    [['--grace-period', '00'], 'It must be seconds'],
    [['--grace-period', '1h', '--end-grace-period'], 'cannot be used with'],
  ])('refuses %j before anything is asked for', async (args, message) => {
    const { asked, run } = await startRecording({})
    const { code, stderr } = await run('keys', 'rotate', plainKey.id, ...args)
    expect({ code, asked }).toEqual({ code: 2, asked: [] })
    expect(stderr).toContain(message)
  })
})
