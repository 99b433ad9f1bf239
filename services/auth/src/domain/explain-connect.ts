import type { Plans } from '@instatunnel/kit/plans'
import { type Connecting, judgeConnect } from './connect-verdict.ts'
import { type Check, explainScope } from './explain.ts'
import type { KnownKey } from './known-key.ts'
import { pastPlan } from './plan-limit.ts'

/** True where the tunnel is one that the key finds: its owner's own, and not outside the key's subdomains. */
export function findsTunnel(key: KnownKey, connecting: Connecting, plans: Plans): boolean {
  const verdict = judgeConnect(key.holder, connecting, plans)
  return verdict !== 'NOT_FOUND' && verdict !== 'SUBDOMAIN_NOT_ALLOWED'
}

/** Whether the key may connect a tunnel: its scope, and then the tunnel itself. */
export function explainConnect(key: KnownKey, connecting: Connecting, plans: Plans): Check {
  const scope = explainScope(key, 'tunnels:write')
  if (!scope.passed) return scope
  const verdict = judgeConnect(key.holder, connecting, plans)
  if (typeof verdict === 'object') {
    const { subdomain } = verdict.tunnel
    return { name: 'scope', passed: true, message: `${scope.message}, and may connect ${subdomain}` }
  }
  const message =
    verdict === 'PLAN_WITHOUT_TUNNEL'
      ? pastPlan(key.owner.plan, plans).message
      : `There is no tunnel ${connecting.tunnelId} that the key may connect`
  return { name: 'scope', passed: false, message }
}
