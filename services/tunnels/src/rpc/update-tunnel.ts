import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { fieldsToSet } from '@instatunnel/kit/update-mask'
import { validate } from '@instatunnel/kit/validate'
import type { Tunnel, UpdateTunnelRequest } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { patternsOf } from '../domain/allowed-subdomain.ts'
import { availableTo, CHOICES, changedChoices, tunnelIdFrom } from '../domain/tunnel.ts'
import { tellUpdated } from '../store/outbox.ts'
import { lockTunnel, saveTunnel } from '../store/tunnel-store.ts'
import { claimSubdomain } from './claim-subdomain.ts'
import type { Deps } from './deps.ts'
import { changedTunnelFields } from './tunnel-fields.ts'
import { messageOf } from './tunnel-message.ts'

/**
 * Changes a tunnel: the caller's own, or anyone's with admin:write. An update that changes nothing is not told. A new
 * subdomain is known to every relay before it is answered.
 */
export const updateTunnel =
  (deps: Deps): Unary<UpdateTunnelRequest, Tunnel> =>
  async (request, call) => {
    const caller = identityOf(call)
    const chosen = choicesOf(request)
    const id = tunnelIdFrom(request.id)

    const [tunnel, renamed] = await deps.sql.begin(async (tx) => {
      const before = availableTo(caller, 'admin:write', await lockTunnel(tx, id))
      const now = deps.now()
      const after = { ...before, ...chosen, updatedAt: now }
      const changed = changedChoices(before, after)
      if (changed.length === 0) return [before, undefined] as const
      const within = { patterns: patternsOf(caller), random: deps.random }
      const saved = await claimSubdomain(after, within, (claimed) => saveTunnel(tx, claimed))
      await tellUpdated(tx, saved, changed, now)
      const { subdomain } = saved
      const renamed = { tunnelId: id, subdomain, former: before.subdomain, at: now }
      return [saved, changed.includes('subdomain') ? renamed : undefined] as const
    })
    if (renamed) await deps.tellRenamed(renamed)
    return messageOf(tunnel, caller, deps)
  }

/** What the request sets; a field that is named and absent is empty, and refused where it cannot be. */
function choicesOf({ name, subdomain, localPort, responseTimeout, updateMask }: UpdateTunnelRequest) {
  const given = { name, subdomain, local_port: localPort, response_timeout: responseTimeout }
  const set = fieldsToSet(updateMask, CHOICES, (choice) => given[choice] !== undefined)
  return validate(changedTunnelFields, {
    ...(set.has('name') && { name: name ?? '' }),
    ...(set.has('subdomain') && { subdomain: subdomain ?? '' }),
    ...(set.has('local_port') && { localPort: localPort ?? 0 }),
    ...(set.has('response_timeout') && { responseTimeout: responseTimeout ?? null }),
  })
}
