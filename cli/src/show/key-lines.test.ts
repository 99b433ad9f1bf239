import { describe, expect, it } from 'vitest'
import { fullKey, plainKey } from '../../test/key-answers.ts'
import { keyLines } from './key-lines.ts'

/** Times of day are the clock's. */
const withoutTimes = (lines: string[]) =>
  lines.map((line) => line.replace(/\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, 'DAY'))

describe('keyLines', () => {
  it('tell all about a key', () => {
    expect(withoutTimes(keyLines(fullKey())).filter((line) => !/^(Created|Changed)/.test(line))).toEqual([
      `ID:           ${plainKey.id}`,
      'Name:         CI/CD Key',
      'State:        revoked',
      'Key:          it_***...def',
      `Owner:        ${plainKey.user_id}`,
      'Session:      ses_01h00000000000000000000001',
      'Permissions:  tunnels:read, analytics:read',
      'Expires:      DAY (in 30 d)',
      'Last used:    DAY (3 d ago)',
      'Requests:     1234',
      'Remaining:    97, set to 100 every 1 h, last 4 d ago',
      "Rate limit:   its owner's, and 10 in 1 min",
      'Addresses:    203.0.113.0/24, 2001:db8::/32',
      'Subdomains:   docs-*, api-?',
      'Metadata:     {"team":"docs","nested":{"level":2}}',
      'Revoked:      DAY (5 d ago)',
      'Reason:       no longer in use',
      'Restorable:   until DAY (in 2 d)',
      'Old secret:   it_***...abc works until DAY (in 7 d); last used: DAY (8 d ago)',
    ])
  })

  it('say what is so where nothing was said', () => {
    expect(keyLines(plainKey)).toEqual(
      expect.arrayContaining([
        'Expires:      Never',
        'Last used:    Never',
        'Remaining:    not counted',
        "Rate limit:   its owner's",
        'Addresses:    any',
        'Subdomains:   any',
        'Metadata:     {}',
      ]),
    )
    expect(keyLines(plainKey).join('\n')).not.toMatch(/Session|Revoked|Reason|Restorable|Old secret/)
  })

  it.each([
    [
      { rate_limit_enabled: false, rate_limit_max: 1, rate_limit_time_window: 1 },
      "none, not even its owner's",
    ],
    [{ remaining: 0 }, 'Remaining:    0'],
    [{ permissions: [] }, 'Permissions:  none'],
    [{ remaining: 5, refill_amount: 5, refill_interval: 1500 }, 'Remaining:    5, set to 5 every 1500 ms'],
  ])('tell of %j: %s', (fields, line) => {
    expect(keyLines({ ...plainKey, ...fields }).join('\n')).toContain(line)
  })

  it('let nothing in a key steer the terminal', () => {
    const lines = keyLines({ ...plainKey, name: '\u001b]0;x\u0007', metadata: { a: '\u009b2J' } })
    expect(lines.join('')).not.toMatch(/\p{Cc}/u)
  })
})
