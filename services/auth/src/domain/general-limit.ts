import { addressSubject } from '@instatunnel/kit/client-address'
import type { Plans } from '@instatunnel/kit/plans'
import type { Standing } from './holder.ts'

/** How many calls the windows of a minute admit. */
export interface GeneralLimits {
  readonly auth: number
  readonly read: number
  readonly write: number
  readonly connect: number
  readonly plans: Plans
}

/** One window: whom it counts, and how many calls it admits. */
export interface CountedBy {
  readonly subject: string
  readonly limit: number
}

/** The window of a user's reading or writing calls, whatever credential they are made with. */
export function userWindow(
  { userId, plan }: Standing,
  kind: 'read' | 'write',
  limits: GeneralLimits,
): CountedBy {
  const { readFactor, writeFactor } = limits.plans[plan]
  const factor = kind === 'read' ? readFactor : writeFactor
  return { subject: `${kind}:${userId}`, limit: Math.floor(limits[kind] * factor) }
}

/** The window of the calls that anybody may make from one address; those from none that is known count as one. */
export const addressWindow = (
  address: string | undefined,
  kind: 'auth' | 'read' | 'write',
  limits: GeneralLimits,
): CountedBy => ({ subject: `${kind}:${addressSubject(address ?? '')}`, limit: limits[kind] })

/** The window of the agents that connect one tunnel. */
export const connectWindow = (tunnelId: string, { connect }: Pick<GeneralLimits, 'connect'>): CountedBy => ({
  subject: `connect:${tunnelId}`,
  limit: connect,
})
