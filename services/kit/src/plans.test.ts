import { describe, expect, it } from 'vitest'
import { plansSetting } from './plans.ts'

const standard = {
  free: { tunnels: 3, readFactor: 1, writeFactor: 1, mcp: false },
  pro: { tunnels: 25, readFactor: 5, writeFactor: 5, mcp: true },
  business: { tunnels: 250, readFactor: 10, writeFactor: 10, mcp: true },
}

describe('plansSetting', () => {
  it('is the published table where nothing is set', () => {
    expect(plansSetting.parse(undefined)).toEqual(standard)
    expect(plansSetting.parse('{}')).toEqual(standard)
  })

  it('changes what is named and nothing else', () => {
    expect(plansSetting.parse('{"free":{"tunnels":0,"mcp":true},"business":{"writeFactor":2.5}}')).toEqual({
      ...standard,
      free: { tunnels: 0, readFactor: 1, writeFactor: 1, mcp: true },
      business: { tunnels: 250, readFactor: 10, writeFactor: 2.5, mcp: true },
    })
  })

  it.each([
    '',
    'free=5',
    'null',
    '[]',
    '"free"',
    '{"gold":{"tunnels":5}}',
    '{"free":5}',
    '{"free":null}',
    '{"free":{"tunnel":5}}',
    '{"free":{"tunnels":-1}}',
    '{"free":{"tunnels":1.5}}',
    '{"free":{"tunnels":"5"}}',
    '{"free":{"tunnels":1e9}}',
    '{"free":{"readFactor":0.5}}',
    '{"free":{"readFactor":1001}}',
    '{"free":{"mcp":1}}',
    '{"free":{"mcp":"true"}}',
    '{"__proto__":{"tunnels":5}}',
  ])('refuses %s', (text) => {
    const { success, error } = plansSetting.safeParse(text)
    expect(success).toBe(false)
    expect(error?.issues[0]?.message).toMatch(/^must be JSON like \{"free":\{"tunnels":5\}\}: ./)
  })
})
