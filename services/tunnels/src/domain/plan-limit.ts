import { PLANS, type Plan, type Plans } from '@instatunnel/kit/plans'
import { Refusal } from '@instatunnel/kit/refusal'

/** Refuses one more tunnel where a user of this plan has as many as it allows. */
export function refusePastPlan(plan: Plan, plans: Plans, tunnelsCount: number): void {
  const limit = plans[plan].tunnels
  if (tunnelsCount < limit) return
  const wayOut = plan === PLANS.at(-1) ? 'delete one first' : 'delete one first, or move to a larger plan'
  const tunnels = limit === 1 ? 'tunnel' : 'tunnels'
  throw new Refusal('PLAN_LIMIT', `The ${plan} plan allows ${limit} ${tunnels} at a time; ${wayOut}`)
}
