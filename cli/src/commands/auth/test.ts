import { expandScope } from '@instatunnel/kit/scope'
import { Command } from 'commander'
import { type WhoAmI, whoAmI } from '../../calls/who-am-i.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { Refused, UsageError } from '../../exit.ts'
import { folded } from '../../show/permissions.ts'

/** `instatunnel auth test` */
export const authTest = (deps: Deps): Command =>
  new Command('test')
    .description('test the key in use, and what it may do')
    .option('--scope <scope>', 'test for this permission only, e.g. tunnels:write')
    .addHelpText(
      'after',
      `
Exits with 1 where the key does not work or lacks the permission.

Examples:
  instatunnel auth test
  instatunnel auth test --scope tunnels:write`,
    )
    .action(async ({ scope }: { scope?: string }) => {
      const asked = scope === undefined ? [] : expandScope(scope)
      if (scope !== undefined && asked.length === 0) throw new UsageError(`There is no permission '${scope}'`)
      const who = await whoAmI(await signedIn(deps))
      if (asked.some((one) => !who.credential.scopes.includes(one)))
        throw new Refused('forbidden', `Permission '${scope}' not granted`, { required_scope: scope })
      deps.output.result(who, scope === undefined ? linesOf(who) : [`✅ Permission '${scope}' granted`])
    })

const linesOf = ({ user, plan, credential }: WhoAmI) => [
  '✅ API key is valid',
  `👤 User: ${user.email}`,
  `📋 Plan: ${plan.charAt(0).toUpperCase()}${plan.slice(1)}`,
  `🔑 Permissions: ${folded(credential.scopes).join(', ')}`,
]
