import { plansSetting } from '@instatunnel/kit/plans'
import { describe, expect, it } from 'vitest'
import { boundedLimit, windowBounds } from './window-bounds.ts'

const plans = plansSetting.parse('{"business":{"readFactor":2.5}}')
const bounds = windowBounds({ auth: 10, read: 101, write: 20, connect: 30, plans })

describe('windowBounds', () => {
  it.each([
    ['auth:203.0.113.7', 10],
    ['email:ada@example.com', 30],
    ['place:203.0.113.7:ada@example.com', 30],
    ['right:203.0.113.7', 100],
    ['device:c2hh', 30],
    ['password:user_1', 30],
    ['invalid:2001:db8::/64', 100],
    ['login_failed:203.0.113.7:ada@example.com', 1],
    // The largest plan's: of whom else it asks, only the asker knows.
    ['read:user_1', 505],
    ['write:user_1', 200],
    ['connect:tun_1', 30],
  ])('let nobody ask for more of %s than %i', (subject, bound) => {
    expect(boundedLimit(bounds, subject, 1_000_000)).toBe(bound)
    expect(boundedLimit(bounds, subject, bound)).toBe(bound)
    expect(boundedLimit(bounds, subject, 0)).toBe(0)
  })

  it('leave what no setting of ours says anything of as it was asked for', () => {
    for (const subject of ['other:user_1', 'constructor:x', 'readuser_1', '', 'r:read:user_1'])
      expect(boundedLimit(bounds, subject, 1_000_000)).toBe(1_000_000)
  })
})
