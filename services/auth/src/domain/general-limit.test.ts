import { plansSetting } from '@instatunnel/kit/plans'
import { describe, expect, it } from 'vitest'
import { addressWindow, connectWindow, userWindow } from './general-limit.ts'

const plans = plansSetting.parse('{"pro":{"readFactor":2.5,"writeFactor":1.5}}')
const limits = { auth: 10, read: 101, write: 21, connect: 30, plans }

describe('the windows of the general limits', () => {
  it('count a user by plan, reading and writing apart', () => {
    const user = { userId: 'user_1', plan: 'pro', role: 'user', status: 'active' } as const
    expect(userWindow(user, 'read', limits)).toEqual({ subject: 'read:user_1', limit: 252 })
    expect(userWindow(user, 'write', limits)).toEqual({ subject: 'write:user_1', limit: 31 })
    expect(userWindow({ ...user, plan: 'free' }, 'write', limits).limit).toBe(21)
  })

  it('count anybody by address, and those of none as one', () => {
    expect(addressWindow('2001:db8:1:2::9', 'auth', limits)).toEqual({
      subject: 'auth:2001:db8:1:2::/64',
      limit: 10,
    })
    expect(addressWindow(undefined, 'auth', limits)).toEqual(addressWindow('', 'auth', limits))
  })

  it('count agents by tunnel', () => {
    expect(connectWindow('tun_1', limits)).toEqual({ subject: 'connect:tun_1', limit: 30 })
  })
})
