import { describe, expect, it } from 'vitest'
import { emailField, emailKey, nameField, passwordField, usernameField, usernameFrom } from './account.ts'

const takes = (field: { safeParse(text: unknown): { success: boolean } }, text: unknown) =>
  field.safeParse(text).success

describe('emailField', () => {
  it.each([
    'ada@example.com',
    'Ada.Lovelace+tag@Example.CO.UK',
    "o'brien@example.ie",
    'a@b.c',
    '1@2.3',
    `${'l'.repeat(64)}@example.com`,
    `a@${'d'.repeat(63)}.com`,
    `${'l'.repeat(64)}@${'d'.repeat(63)}.${'d'.repeat(63)}.${'d'.repeat(61)}`, // 254
    'user@xn--bcher-kva.example',
  ])('takes %s', (text) => expect(takes(emailField, text)).toBe(true))

  it.each([
    '',
    'ada',
    '@example.com',
    'ada@',
    'ada@localhost',
    'ada@@example.com',
    'ada@example..com',
    'ada@.example.com',
    'ada@example.com.',
    'ada@-example.com',
    'ada@example-.com',
    'ada @example.com',
    'ada@example.com\n',
    '\nada@example.com',
    'ada@exa\0mple.com',
    'ada@exämple.com',
    'Ada <ada@example.com>',
    'ada@example.com, bob@example.com',
    'ada@[127.0.0.1]',
    `${'l'.repeat(65)}@example.com`,
    `a@${'d'.repeat(64)}.com`,
    `${'l'.repeat(64)}@${'d'.repeat(63)}.${'d'.repeat(63)}.${'d'.repeat(62)}`, // 255
    'a'.repeat(1_000_000),
    // What an expression that backtracks would take for ever on.
    `a@${'a-'.repeat(5000)}`,
    `${'a.'.repeat(5000)}@`,
  ])('refuses %j', (text) => expect(takes(emailField, text)).toBe(false))
})

describe('emailKey', () => {
  it('is the same for one address in any case', () => {
    expect(emailKey('Ada@Example.COM')).toBe(emailKey('ada@example.com'))
  })
})

describe('passwordField', () => {
  it.each([
    '0123456789',
    'p'.repeat(128),
    '🦦'.repeat(10),
    '🦦'.repeat(128),
    ' '.repeat(10),
    '\0'.repeat(10),
  ])('takes %j', (text) => expect(takes(passwordField, text)).toBe(true))
  it.each(['', '012345678', 'p'.repeat(129), '🦦'.repeat(9), '🦦'.repeat(129), 'p'.repeat(1_000_000)])(
    'refuses %j',
    (text) =>
      expect(passwordField.safeParse(text).error?.issues[0]?.message).toBe('must be 10 to 128 characters'),
  )
})

describe('nameField', () => {
  it.each(['', 'Ada Lovelace', 'Zoë 🦦', '🦦'.repeat(100), "Robert'); drop table users;--", '<b>Ada</b>'])(
    'takes %j',
    (text) => expect(takes(nameField, text)).toBe(true),
  )
  it.each(['n'.repeat(101), '🦦'.repeat(101), 'a\0b', 'a\nb', '\u001b[31mred', 'a\u0085b'])(
    'refuses %j',
    (text) => expect(takes(nameField, text)).toBe(false),
  )
})

describe('usernameField', () => {
  it.each(['a', 'ada', 'ada.lovelace_1-x', 'u'.repeat(39)])('takes %j', (text) =>
    expect(takes(usernameField, text)).toBe(true),
  )
  it.each(['', 'Ada', 'ada lovelace', 'ädä', 'u'.repeat(40), 'ada\n', 'a/b', 'a@b'])('refuses %j', (text) =>
    expect(takes(usernameField, text)).toBe(false),
  )
})

describe('usernameFrom', () => {
  it.each([
    ['Ada.Lovelace@example.com', 'ada.lovelace'],
    ['ada+tag@example.com', 'adatag'],
    ["o'brien@example.com", 'obrien'],
    [`${'l'.repeat(64)}@example.com`, 'l'.repeat(39)],
    ['+@example.com', 'user'],
  ])('makes of %s the username %s', (email, username) => {
    expect(usernameFrom(email)).toBe(username)
    expect(takes(usernameField, usernameFrom(email))).toBe(true)
  })
})
