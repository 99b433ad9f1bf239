import { plansSetting } from '@instatunnel/kit/plans'
import { describe, expect, it } from 'vitest'
import { pastPlan, withoutMcp } from './plan-limit.ts'

describe('pastPlan', () => {
  it('tells what the plan allows and the way out', () => {
    const plans = plansSetting.parse('{"free":{"tunnels":1},"pro":{"tunnels":2}}')
    expect(pastPlan('free', plans)).toMatchObject({
      reason: 'PLAN_LIMIT',
      message: 'The free plan allows 1 tunnel at a time; delete an older one first, or move to a larger plan',
    })
    expect(pastPlan('pro', plans).message).toBe(
      'The pro plan allows 2 tunnels at a time; delete an older one first, or move to a larger plan',
    )
    expect(pastPlan('business', plans).message).toBe(
      'The business plan allows 250 tunnels at a time; delete an older one first',
    )
  })
})

describe('withoutMcp', () => {
  it.each([
    ['{}', 'The free plan does not allow MCP endpoints; move to pro or business'],
    ['{"pro":{"mcp":false}}', 'The free plan does not allow MCP endpoints; move to business'],
    ['{"pro":{"mcp":false},"business":{"mcp":false}}', 'The free plan does not allow MCP endpoints'],
  ])('names the plans that do, with %s', (setting, message) => {
    expect(withoutMcp('free', plansSetting.parse(setting))).toMatchObject({ reason: 'PLAN_LIMIT', message })
  })
})
