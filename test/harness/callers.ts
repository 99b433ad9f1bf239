import { SERVICE_METADATA } from '@instatunnel/kit/guard'
import { descriptorsFile, readRules } from '@instatunnel/kit/rules'
import { createServiceSigner } from '@instatunnel/kit/service-identity'
import { SERVICE_NAMES, type ServiceName } from '@instatunnel/kit/service-name'
import { newKeyPair } from './identity.ts'

/** The services, as one of them is called by the others. */
export interface Callers {
  /** The settings by which that service knows itself and the others. */
  readonly settings: { readonly SERVICE_KEY: string; readonly SERVICE_PUBLIC_KEYS: string }
  /** What a service calls with. */
  as(service: ServiceName): Promise<Record<string, string>>
  /** What a service calls this rpc with that its rule admits. */
  metadataOf(path: string): Promise<Record<string, string>>
}

/** Makes a key pair for each service, to call `callee` with. */
export function createCallers(callee: ServiceName, now: () => Date = () => new Date()): Callers {
  const rules = readRules(descriptorsFile())
  const pairs = SERVICE_NAMES.map((name) => [name, newKeyPair()] as const)
  const pairOf = Object.fromEntries(pairs) as Record<ServiceName, ReturnType<typeof newKeyPair>>
  const signers = new Map(
    pairs.map(([service, { privateKey }]) => [service, createServiceSigner({ service, privateKey, now })]),
  )
  const as = async (service: ServiceName) => ({
    [SERVICE_METADATA]: (await signers.get(service)?.(callee)) as string,
  })
  return {
    settings: {
      SERVICE_KEY: pairOf[callee].privateKey,
      SERVICE_PUBLIC_KEYS: JSON.stringify(
        Object.fromEntries(pairs.map(([name, { publicKey }]) => [name, publicKey])),
      ),
    },
    as,
    metadataOf(path) {
      const rule = rules.get(path)
      if (rule?.kind !== 'internal') throw new Error(`${path} is not internal`)
      return as(rule.callers[0] as ServiceName)
    },
  }
}
