import { describe, expect, it } from 'vitest'
import { hashPassword, isNobodysPassword, isPassword } from './password.ts'

describe('hashPassword', () => {
  it("is Argon2id with OWASP's parameters and a salt of its own", async () => {
    const [one, two] = await Promise.all([hashPassword('correct horse'), hashPassword('correct horse')])
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(one).not.toBe(two)
  })
})

describe('isPassword', () => {
  it('knows the password, and no other', async () => {
    const stored = await hashPassword('correct horse')
    expect(await isPassword('correct horse', stored)).toBe(true)
    for (const wrong of ['', 'correct hors', 'correct horse ', 'Correct horse', 'correct horse\0'])
      expect(await isPassword(wrong, stored), wrong).toBe(false)
  })

  it('knows it as another keyboard writes the same letters', async () => {
    const stored = await hashPassword('pass caf\u00e9 word')
    expect(await isPassword('pass cafe\u0301 word', stored)).toBe(true)
  })

  it('tells passwords apart past 72 characters', async () => {
    const stored = await hashPassword(`${'p'.repeat(127)}a`)
    expect(await isPassword(`${'p'.repeat(127)}b`, stored)).toBe(false)
  })
})

describe('isNobodysPassword', () => {
  it.each(['', 'correct horse', 'nobody has this password'])('knows nobody by %j', async (password) => {
    expect(await isNobodysPassword(password)).toBe(false)
  })
})
