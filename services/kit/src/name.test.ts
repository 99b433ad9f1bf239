import { describe, expect, it } from 'vitest'
import { nameField } from './name.ts'

const faultOf = (text: string) => nameField.safeParse(text).error?.issues.map(({ message }) => message)

describe('nameField', () => {
  it.each([
    'a',
    'My app',
    ' padded ',
    'n'.repeat(100),
    '🦦'.repeat(100),
    "Robert'); drop table keys;--",
    '<b>',
  ])('takes %j', (text) => expect(nameField.parse(text)).toBe(text))

  it.each([
    ['', 'must be 1 to 100 characters'],
    ['n'.repeat(101), 'must be 1 to 100 characters'],
    ['🦦'.repeat(101), 'must be 1 to 100 characters'],
    ['n'.repeat(1_000_000), 'must be 1 to 100 characters'],
    ['a\0b', 'must not hold control characters'],
    ['\n', 'must not hold control characters'],
    ['half \ud83e', 'must not hold control characters'],
    [' ', 'must not be blank'],
    ['\u3000\u00a0', 'must not be blank'],
  ])('refuses %j with one reason: %s', (text, message) => expect(faultOf(text)).toEqual([message]))
})
