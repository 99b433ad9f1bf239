import type { PresentedCredential } from '@instatunnel/kit/identity'
import { isNetworkWithin } from '@instatunnel/kit/network'
import { isPatternWithin } from '@instatunnel/kit/subdomain-pattern'
import type { Key } from './key.ts'

/** What holds a key to some places and tunnels. */
export type Bounds = Pick<Key, 'allowedIps' | 'allowedSubdomains'>

/** What the credential that a call comes with is held to. */
export type CallerBounds = Pick<PresentedCredential, 'networks' | 'subdomains' | 'counted'>

/** What a new key is held to where nothing is said: what its maker is. */
export const boundsWithin = ({ allowedIps, allowedSubdomains }: Bounds, caller: CallerBounds): Bounds => ({
  allowedIps: allowedIps.length > 0 ? allowedIps : (caller.networks ?? []),
  allowedSubdomains: allowedSubdomains.length > 0 ? allowedSubdomains : (caller.subdomains ?? []),
})

/**
 * Why a credential may not make or change a key: one that it could use to get past what it is held to itself.
 * Undefined where it may.
 */
export function boundsFault(
  { allowedIps, allowedSubdomains }: Bounds,
  { networks, subdomains, counted }: CallerBounds,
): string | undefined {
  if (counted) return 'Uses of this key are counted: it makes and changes no keys'
  if (networks && !areAll(allowedIps, (each) => isNetworkWithin(each, networks)))
    return `This key may be used from ${networks.join(', ')} only, and so may every key that it makes or changes`
  if (subdomains && !areAll(allowedSubdomains, (each) => isPatternWithin(each, subdomains)))
    return `This key is for the subdomains ${subdomains.join(', ')} only, and so is every key that it makes or changes`
  return undefined
}

/** None at all means everything. */
const areAll = (list: readonly string[], isWithin: (each: string) => boolean) =>
  list.length > 0 && list.every(isWithin)
