import { PLANS, type Plan, type Plans } from '@instatunnel/kit/plans'
import { Refusal } from '@instatunnel/kit/refusal'

/** The refusal to connect a tunnel past those that a plan allows: the oldest ones are allowed first. */
export function pastPlan(plan: Plan, plans: Plans): Refusal {
  const limit = plans[plan].tunnels
  const tunnels = limit === 1 ? 'tunnel' : 'tunnels'
  const wayOut =
    plan === PLANS.at(-1)
      ? 'delete an older one first'
      : 'delete an older one first, or move to a larger plan'
  return new Refusal('PLAN_LIMIT', `The ${plan} plan allows ${limit} ${tunnels} at a time; ${wayOut}`)
}

/** The refusal to connect in front of an MCP server by a plan that does not allow it. */
export function withoutMcp(plan: Plan, plans: Plans): Refusal {
  const allowing = PLANS.filter((other) => plans[other].mcp)
  const wayOut = allowing.length > 0 ? `; move to ${allowing.join(' or ')}` : ''
  return new Refusal('PLAN_LIMIT', `The ${plan} plan does not allow MCP endpoints${wayOut}`)
}
