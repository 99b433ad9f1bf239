import { plansSetting } from '@instatunnel/kit/plans'
import { describe, expect, it } from 'vitest'
import { aKey } from '../../test/known-key.ts'
import { judgeConnect } from './connect-verdict.ts'
import type { Holder } from './holder.ts'

const plans = plansSetting.parse('{}')
const { holder } = aKey({ allowedSubdomains: ['docs-*'] })
const tunnelHolder: Holder = { kind: 'tunnel', user: holder.user, tunnelId: 'tun_1', tokenGeneration: 0 }
const facts = {
  tunnelId: 'tun_1',
  userId: holder.user.userId,
  subdomain: 'docs-demo',
  tokenGeneration: 0,
  olderTunnels: 0,
}
const judge = (changed: Partial<typeof facts>, by: Holder = holder, mode: '' | 'mcp' = '') =>
  judgeConnect(by, { tunnelId: 'tun_1', tunnel: { ...facts, ...changed }, mode }, plans)

describe('judgeConnect', () => {
  it('says what the connect token does', () => {
    expect(judge({})).toEqual({
      tunnel: { id: 'tun_1', subdomain: 'docs-demo', tokenGeneration: 0 },
      plan: 'free',
      mode: '',
      credential: { type: 'api_key', id: holder.credential.id, secretGeneration: 0 },
    })
  })

  it('checks in order: whose, which, the plan', () => {
    const wrong = { userId: 'user_2', subdomain: 'shop', olderTunnels: 3 }
    expect(judge(wrong, holder, 'mcp')).toBe('NOT_FOUND')
    expect(judge({ ...wrong, userId: facts.userId }, holder, 'mcp')).toBe('SUBDOMAIN_NOT_ALLOWED')
    expect(judge({ olderTunnels: 3 }, holder, 'mcp')).toBe('PLAN_WITHOUT_TUNNEL')
    expect(judge({}, holder, 'mcp')).toBe('PLAN_WITHOUT_MODE')
  })

  it("holds a tunnel's token to its tunnel and to the newest of them, whatever it is named", () => {
    expect(judge({ subdomain: 'shop' }, tunnelHolder)).toMatchObject({ credential: { type: 'tunnel_token' } })
    expect(judge({ tokenGeneration: 1 }, tunnelHolder)).toBe('TOKEN_REPLACED')
    expect(judge({}, { ...tunnelHolder, tunnelId: 'tun_2' })).toBe('CONNECTS_ANOTHER')
  })
})
