import { describe, expect, it, onTestFinished } from 'vitest'
import { type Home, openHome } from '../../../test/home.ts'
import { inDays, plainKey } from '../../../test/key-answers.ts'
import { type Recording, startRecording } from '../../../test/recording.ts'
import { openTerminal } from '../../../test/terminal.ts'

const { id } = plainKey
const path = `/v1/auth/keys/${id}`
const receipt = { success: true, connections_cut: 1, replicas_acked: 2, replicas_total: 2, took_ms: 13.7 }
const answers = {
  [`GET ${path}`]: { ...plainKey, name: 'a\u001b[31m key', last_used: inDays(-3) },
  [`DELETE ${path}`]: receipt,
}
const undo = `Within 24 hours this undoes it: instatunnel keys restore ${id}\n`

describe('keys delete', () => {
  it('prints the receipt, and how to undo it', async () => {
    const { asked, run } = await startRecording(answers)
    expect(await run('keys', 'delete', id, '--reason', 'no longer in use')).toEqual({
      code: 0,
      stdout: '✅ API key revoked: 2 of 2 replicas refuse it, 1 connection cut, 14 ms\n',
      stderr: undo,
    })
    expect(asked).toEqual([{ call: `DELETE ${path}?reason=no+longer+in+use` }])
  })

  it('says what is left open where a replica did not answer', async () => {
    const late = { ...receipt, replicas_acked: 1, connections_cut: 0, took_ms: 1002 }
    const { run } = await startRecording({ [`DELETE ${path}`]: late })
    expect(await run('keys', 'delete', id)).toEqual({
      code: 0,
      stdout: '✅ API key revoked: 1 of 2 replicas refuse it, 0 connections cut, 1.0 s\n',
      stderr: `Where no answer came from, it is refused within 5 s\n${undo}`,
    })
  })

  it('promises no way back for one that is leaked', async () => {
    const { run } = await startRecording(answers)
    for (const reason of ['leaked', ' Leaked'])
      expect((await run('keys', 'delete', id, '--reason', reason)).stderr).toBe('')
  })

  it('has the tokens that a leaked key could have read regenerated, and names their tunnels', async () => {
    const tunnels = [{ id: 'tun_1', name: 'Docs\u001b[31m' }]
    const leaked = { ...receipt, tunnels, tunnels_known: true, tokens_regenerated: true }
    const { asked, run } = await startRecording({ [`DELETE ${path}`]: leaked })
    const { stderr } = await run('keys', 'delete', id, '--reason', 'leaked', '--regenerate')
    expect(asked).toEqual([{ call: `DELETE ${path}?reason=leaked&regenerate=true` }])
    expect(stderr).toMatch(/^These tunnels have new tokens, .*Docs.* \(tun_1\)\n$/)
    expect(stderr).not.toContain('\u001b')
  })

  it('prints what the API answers with --json', async () => {
    const { run } = await startRecording(answers)
    const { stdout, stderr } = await run('keys', 'delete', id, '--json')
    expect([JSON.parse(stdout), stderr]).toEqual([receipt, ''])
  })
})

describe('keys delete on a terminal', () => {
  async function opened(...args: string[]) {
    const recording: Recording = await startRecording(answers)
    const home: Home = await openHome(recording.url)
    onTestFinished(() => home.remove())
    const env = { ...home.env, INSTATUNNEL_API_KEY: 'it_1234567890abcdef' }
    const terminal = openTerminal({ ...home, env }, ['keys', 'delete', id, ...args])
    const calls = () => recording.asked.map(({ call }) => call)
    return { terminal, calls }
  }

  it('asks first, by the name, and revokes after a yes', async () => {
    const { terminal, calls } = await opened()
    await terminal.shows('Revoke the API key "a�[31m key" (it_ab…, last used 3 d ago)?')
    expect(calls()).toEqual([`GET ${path}`])
    terminal.type('y')
    expect(await terminal.exited).toBe(0)
    expect(calls()).toEqual([`GET ${path}`, `DELETE ${path}`])
    expect(terminal.screen()).toContain('2 of 2 replicas refuse it')
  })

  it.each([
    ['no', 'n'],
    ['Enter alone', '\r'],
    ['Ctrl-C', '\x03'],
  ])('revokes nothing after %s', async (_, typed) => {
    const { terminal, calls } = await opened()
    await terminal.shows('Revoke the API key')
    terminal.type(typed)
    expect(await terminal.exited).toBe(1)
    expect(terminal.screen()).toContain('❌ Cancelled')
    expect(calls()).toEqual([`GET ${path}`])
  })

  it.each(['--yes', '-y', '--json'])('does not ask with %s', async (option) => {
    const { terminal, calls } = await opened(option)
    expect(await terminal.exited).toBe(0)
    expect(calls()).toEqual([`DELETE ${path}`])
  })
})
