import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createFileRegistry, fromBinary, getExtension, hasExtension } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { isScope, type Scope } from './scope.ts'
import { isServiceName, type ServiceName } from './service-name.ts'

/** Who may call an rpc (instatunnel/access/v1/rule.proto), checked. */
export type Rule =
  | { readonly kind: 'public'; readonly limit: Limit; readonly safe: boolean }
  /** Services that may call; no one else may. */
  | { readonly kind: 'internal'; readonly callers: readonly ServiceName[] }
  | {
      readonly kind: 'scope'
      readonly scope: Scope | 'any'
      readonly limit: 'read' | 'write'
      readonly safe: boolean
    }

/** Which limit counts a call. */
export type Limit = 'auth' | 'read' | 'write'

/** The rules by full method, "/instatunnel.keys.v1.ApiKeyService/ListKeys". */
export type Rules = ReadonlyMap<string, Rule>

/** Where generation leaves the descriptor set that the gateway transcodes with too. */
export const descriptorsFile = () =>
  fileURLToPath(import.meta.resolve('@instatunnel/proto/descriptors.binpb'))

/** Reads the rule of every rpc of instatunnel.* from a descriptor set; throws where an rpc has none, or a wrong one. */
export function readRules(file: string): Rules {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)))
  const extension = registry.getExtension('instatunnel.access.v1.rule')
  if (!extension) throw new Error(`${file} does not declare instatunnel.access.v1.rule`)
  const rules = new Map<string, Rule>()
  for (const type of registry) {
    if (type.kind !== 'service' || !type.typeName.startsWith('instatunnel.')) continue
    for (const method of type.methods) {
      const path = `/${type.typeName}/${method.name}`
      const options = method.proto.options
      if (!options || !hasExtension(options, extension)) throw new Error(`${path} has no access rule`)
      rules.set(path, ruleOf(path, getExtension(options, extension) as unknown as DeclaredRule))
    }
  }
  return rules
}

interface DeclaredRule {
  scope: string
  limit: string
  public: boolean
  internal: string[]
  safe: boolean
}

function ruleOf(path: string, { scope, limit, public: isPublic, internal, safe }: DeclaredRule): Rule {
  const kinds = [scope !== '', isPublic, internal.length > 0].filter(Boolean).length
  if (kinds !== 1) throw new Error(`${path}: its rule must set one of scope, public and internal`)
  if (!['', 'auth', 'read', 'write'].includes(limit)) throw new Error(`${path}: "${limit}" is no limit`)
  if (internal.length > 0) return { kind: 'internal', callers: internal.map((name) => callerOf(path, name)) }
  const counted = (limit || (safe ? 'read' : 'write')) as Limit
  if (isPublic) return { kind: 'public', limit: counted, safe }
  if (scope !== 'any' && !isScope(scope)) throw new Error(`${path}: "${scope}" is no scope`)
  if (counted === 'auth')
    throw new Error(`${path}: "auth" counts addresses, and a scope's calls are counted by user`)
  return { kind: 'scope', scope, limit: counted, safe }
}

function callerOf(path: string, name: string): ServiceName {
  if (!isServiceName(name)) throw new Error(`${path}: "${name}" is no service`)
  return name
}
