import { readFile } from 'node:fs/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openHome } from '../../test/home.ts'
import { startRecording } from '../../test/recording.ts'
import { openTerminal } from '../../test/terminal.ts'

const email = 'grace@example.com'
const invitation = `iti_${'a'.repeat(32)}`
const answer = {
  user: { id: 'user_01h00000000000000000000001', email },
  token: 'eyJ',
  expires_at: '2030-01-01T00:00:00Z',
  api_key: 'it_1234567890abcdef',
}

async function opened(...args: string[]) {
  const { asked, url } = await startRecording({ 'POST /v1/auth/register': answer })
  const home = await openHome(url)
  onTestFinished(() => home.remove())
  return { asked, home, terminal: () => openTerminal(home, ['register', '-e', email, ...args]) }
}

describe('register', () => {
  it("asks for the invitation's token and the password, and shows neither", async () => {
    const { asked, terminal } = await opened('--invitation')
    const shown = terminal()
    await shown.shows('Invitation:')
    shown.type(`${invitation}\r`)
    await shown.shows('Password:')
    shown.type('a long password\r')
    await shown.shows('once more:')
    shown.type('a long password\r')
    expect(await shown.exited).toBe(0)
    expect(shown.screen()).toContain('✅ Account made')
    for (const secret of [invitation, 'a long password']) expect(shown.screen()).not.toContain(secret)
    expect(asked).toEqual([
      { call: 'POST /v1/auth/register', body: { email, password: 'a long password', invitation } },
    ])
  })

  it.each([invitation, `http://localhost:8080/invite#${invitation}`])(
    'takes an invitation as its token or as its link: %s',
    async (given) => {
      const { asked, home } = await opened()
      const words = ['register', '-e', email, '--invitation', '--secrets-stdin']
      expect((await home.run(words, { input: `${given}\na long password\n` })).code).toBe(0)
      expect(asked[0]?.body).toEqual({ email, password: 'a long password', invitation })
    },
  )

  it('makes no account where the two passwords differ', async () => {
    const { asked, terminal } = await opened()
    const shown = terminal()
    await shown.shows('Password:')
    shown.type('a long password\r')
    await shown.shows('once more:')
    shown.type('a long passwort\r')
    expect(await shown.exited).toBe(2)
    expect(asked).toEqual([])
  })

  it('reads the password from standard input, and keeps the key', async () => {
    const { asked, home } = await opened()
    const words = ['register', '-e', email, '--name', 'Grace', '--secrets-stdin']
    expect(await home.run(words, { input: 'a long password\n' })).toEqual({
      code: 0,
      stdout: '✅ Account made\n🔑 API Key: it_1234567890abcdef\n',
      stderr: '',
    })
    expect(asked[0]?.body).toEqual({ email, name: 'Grace', password: 'a long password' })
    expect(await readFile(home.credentialsFile, 'utf8')).toContain('it_1234567890abcdef')
  })

  it('says what to do without a terminal', async () => {
    const { asked, home } = await opened()
    expect(await home.run(['register', '-e', email])).toMatchObject({
      code: 2,
      stderr: '❌ There is no terminal to ask on; give --secrets-stdin\n',
    })
    expect(asked).toEqual([])
  })
})
