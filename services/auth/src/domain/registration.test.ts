import { describe, expect, it } from 'vitest'
import { emailField } from './account.ts'
import { type Registration, refuseUninvited, registrationSetting } from './registration.ts'

const read = (text: string) => registrationSetting.safeParse(text)
const registers = (registration: Registration, email: string) => {
  try {
    refuseUninvited(registration, email)
    return true
  } catch (error) {
    expect(error).toMatchObject({ reason: 'REGISTRATION_CLOSED' })
    return false
  }
}

describe('the setting REGISTRATION', () => {
  it.each([
    ['open', { kind: 'open' }],
    ['closed', { kind: 'closed' }],
    ['domain:example.com', { kind: 'domain', domains: ['example.com'] }],
    ['domain:Example.COM, other.org.', { kind: 'domain', domains: ['example.com', 'other.org'] }],
    ['domain:bücher.example', { kind: 'domain', domains: ['xn--bcher-kva.example'] }],
  ])('takes %j', (text, registration) => {
    expect(read(text).data).toEqual(registration)
  })

  it.each(
    [
      [
        'Open',
        'public',
        'domain',
        'domain:',
        'domain:,',
        'domain:example.com,',
        'domain:com',
        'domain:*.example.com',
      ],
      [
        'domain:@example.com',
        'domain:a b.com',
        'domain:example.com/x',
        'domain:example.com..',
        'open:example.com',
      ],
    ].flat(),
  )('refuses %j, and says what it may be', (text) => {
    expect(read(text).error?.issues.map(({ message }) => message)).toEqual([
      'must be open, closed, or domain: with names such as domain:example.com,other.org',
    ])
  })
})

describe('refuseUninvited', () => {
  const some = read('domain:example.com,bücher.example').data as Registration

  it('lets in everybody, nobody, or who has an e-mail at a domain, in any case', () => {
    expect(registers({ kind: 'open' }, 'ada@example.org')).toBe(true)
    expect(registers({ kind: 'closed' }, 'ada@example.com')).toBe(false)
    for (const email of ['ada@example.com', 'ADA+ci@Example.COM', 'ada@XN--BCHER-KVA.example'])
      expect(registers(some, email)).toBe(true)
  })

  it.each(
    [
      [
        'ada@example.org',
        'ada@sub.example.com',
        'ada@notexample.com',
        'ada@example.com.evil.org',
        'ada@example.co',
      ],
      [
        'example.com@evil.org',
        'ada%example.com@evil.org',
        'ada+@example.com@evil.org',
        '"a@example.com"@evil.org',
      ],
      ['"ada@evil.org"@example.com', 'ada@example.com.', 'ada@example.com ', 'ada@evil.org,@example.com'],
      ['ada@example。com', 'ada@eXample.com\u0000', 'ada@exampl\u0435.com', 'ada@e\u017fample.com'],
    ].flat(),
  )('has no way round by %j', (email) => {
    expect(emailField.safeParse(email).success && registers(some, email)).toBe(false)
  })

  it('says how accounts come about', () => {
    expect(() => refuseUninvited({ kind: 'closed' }, 'a@b.c')).toThrow(
      'Registration is closed here; ask an administrator for an invitation',
    )
    expect(() => refuseUninvited(some, 'a@b.c')).toThrow(
      'Only e-mail addresses at example.com, xn--bcher-kva.example may register here; ask an administrator for an invitation',
    )
  })
})
