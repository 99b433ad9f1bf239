import { newId } from '@instatunnel/kit/id'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { CreateTunnelRequest, CreateTunnelResponse } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { patternsOf } from '../domain/allowed-subdomain.ts'
import { refusePastPlan } from '../domain/plan-limit.ts'
import { issueToken } from '../domain/token.ts'
import { TUNNEL_ID } from '../domain/tunnel.ts'
import { tellCreated } from '../store/outbox.ts'
import { countTunnels, insertTunnel } from '../store/tunnel-store.ts'
import { countCreated } from '../store/usage-store.ts'
import { claimSubdomain } from './claim-subdomain.ts'
import type { Deps } from './deps.ts'
import { makeRoom } from './make-room.ts'
import { tunnelFields } from './tunnel-fields.ts'
import { messageOf } from './tunnel-message.ts'

/** Makes a tunnel for the caller, as far as the caller's plan allows. */
export const createTunnel =
  (deps: Deps): Unary<CreateTunnelRequest, CreateTunnelResponse> =>
  async (request, call) => {
    const { sql, random } = deps
    const caller = identityOf(call)
    const { userId, plan } = caller
    const patterns = patternsOf(caller)
    const { subdomain = '', responseTimeout = null } = request
    const chosen = validate(tunnelFields, { ...request, subdomain, responseTimeout })
    const now = deps.now()
    const id = newId(TUNNEL_ID, now, random)
    const { kept } = issueToken(id, deps)

    const tunnel = await sql.begin(async (tx) => {
      // First: it holds back the user's other creates until this one is counted. A refusal takes it back.
      await countCreated(tx, userId)
      const past = (await countTunnels(tx, userId)) + 1 - deps.plans[plan].tunnels
      if (past > 0) await makeRoom(tx, { userId, patterns, wanted: past }, deps)
      refusePastPlan(plan, deps.plans, await countTunnels(tx, userId))
      const { ephemeral } = request
      const times = { createdAt: now, updatedAt: now, lastConnected: null }
      const wanted = { id, userId, ...chosen, ephemeral, ...kept, ...times }
      const made = await claimSubdomain(wanted, { patterns, random }, (claimed) =>
        insertTunnel(tx, claimed, kept),
      )
      await tellCreated(tx, made, now)
      return made
    })
    return { success: true, tunnel: messageOf(tunnel, caller, deps) }
  }
