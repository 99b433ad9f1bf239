import type { CredentialBounds } from '@instatunnel/kit/identity'
import { isNetworkWithin } from '@instatunnel/kit/network'
import { isPatternWithin } from '@instatunnel/kit/subdomain-pattern'
import type { Key } from './key.ts'

/** What bounds a key beside its permissions: to some places, to some tunnels, to a time. */
export type Bounds = Pick<Key, 'allowedIps' | 'allowedSubdomains' | 'expiresAt'>

/** What bounds a new key where nothing is said: what bounds its maker. */
export function boundsWithin(
  { allowedIps, allowedSubdomains, expiresAt }: Bounds,
  caller: CredentialBounds,
): Bounds {
  return {
    allowedIps: allowedIps.length > 0 ? allowedIps : (caller.networks ?? []),
    allowedSubdomains: allowedSubdomains.length > 0 ? allowedSubdomains : (caller.subdomains ?? []),
    expiresAt: expiresAt ?? endOf(caller) ?? null,
  }
}

/**
 * Why a credential may not make a key, change or take it over: with it, one could get past what bounds the credential
 * itself. Undefined where it may.
 */
export function boundsFault(
  { allowedIps, allowedSubdomains, expiresAt }: Bounds,
  caller: CredentialBounds,
): string | undefined {
  const { networks, subdomains, counted } = caller
  const end = endOf(caller)
  if (counted) return 'Uses of this key are counted: it makes and changes no keys'
  if (networks && !areAll(allowedIps, (each) => isNetworkWithin(each, networks)))
    return `This key may be used from ${networks.join(', ')} only, and so may every key that it makes or changes`
  if (subdomains && !areAll(allowedSubdomains, (each) => isPatternWithin(each, subdomains)))
    return `This key is for the subdomains ${subdomains.join(', ')} only, and so is every key that it makes or changes`
  if (end && !(expiresAt && secondOf(expiresAt) <= secondOf(end)))
    return `This key expires at ${end.toISOString()}, and so must every key that it makes or changes, or before`
  return undefined
}

/** None at all means everything. */
const areAll = (list: readonly string[], isWithin: (each: string) => boolean) =>
  list.length > 0 && list.every(isWithin)

/** When a key ends; a session is renewed by logging in, and what it makes does not end with it. */
const endOf = ({ type, expiresAt }: CredentialBounds): Date | undefined =>
  type === 'api_key' && expiresAt !== undefined ? new Date(expiresAt * 1000) : undefined

/** Identities tell whole seconds. */
const secondOf = (time: Date) => Math.floor(time.getTime() / 1000)
