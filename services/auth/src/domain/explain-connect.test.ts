import { plansSetting } from '@instatunnel/kit/plans'
import { describe, expect, it } from 'vitest'
import { aKey } from '../../test/known-key.ts'
import { explainConnect, findsTunnel } from './explain-connect.ts'

const plans = plansSetting.parse('{}')
const tunnelId = 'tun_1'
const key = aKey({ permissions: ['tunnels:write'], allowedSubdomains: ['docs-*'] })
const tunnel = {
  tunnelId,
  userId: key.owner.userId,
  subdomain: 'docs-demo',
  tokenGeneration: 0,
  olderTunnels: 0,
}
const explain = (changed: object | undefined, by = key) =>
  explainConnect(by, { tunnelId, tunnel: changed && { ...tunnel, ...changed }, mode: '' }, plans)

describe('explainConnect', () => {
  it('passes a key that may connect the tunnel', () => {
    expect(explain({})).toEqual({
      name: 'scope',
      passed: true,
      message: 'The key holds tunnels:write, and may connect docs-demo',
    })
  })

  it('stops at the scope first', () => {
    expect(explain(undefined, aKey({ permissions: ['tunnels:read'] }))).toMatchObject({
      passed: false,
      message: 'The key lacks tunnels:write',
    })
  })

  it("stops alike where there is no such tunnel, where it is another's, and where it is outside the key's", () => {
    for (const changed of [undefined, { userId: 'user_2' }, { subdomain: 'shop' }])
      expect(explain(changed)).toEqual({
        name: 'scope',
        passed: false,
        message: 'There is no tunnel tun_1 that the key may connect',
      })
  })

  it('stops at the plan, in its words', () => {
    expect(explain({ olderTunnels: 3 })).toMatchObject({
      passed: false,
      message: expect.stringContaining('The free plan allows 3 tunnels'),
    })
  })
})

describe('findsTunnel', () => {
  const finds = (changed: object | undefined) =>
    findsTunnel(key, { tunnelId, tunnel: changed && { ...tunnel, ...changed }, mode: '' }, plans)

  it("finds the owner's tunnels that the key is for, past the plan too, and no other", () => {
    for (const changed of [{}, { olderTunnels: 3 }]) expect(finds(changed)).toBe(true)
    for (const changed of [undefined, { userId: 'user_2' }, { subdomain: 'shop' }])
      expect(finds(changed)).toBe(false)
  })
})
