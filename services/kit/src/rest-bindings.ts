import { readFileSync } from 'node:fs'
import { createFileRegistry, fromBinary, getExtension, hasExtension } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'

/** One way to call an rpc over REST (google/api/http.proto). */
export interface RestBinding {
  /** The full method, "/instatunnel.keys.v1.ApiKeyService/GetKey". */
  readonly rpc: string
  /** "GET". */
  readonly method: string
  /** "/v1/auth/keys/{id}". */
  readonly template: string
  /** Which field the body is: "*" for the request as a whole, "" where the binding declares none. */
  readonly body: string
}

/** Reads every REST binding of instatunnel.* from a descriptor set, the additional ones too. */
export function readRestBindings(file: string): readonly RestBinding[] {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)))
  const extension = registry.getExtension('google.api.http')
  if (!extension) throw new Error(`${file} does not declare google.api.http`)
  const services = [...registry].filter((type) => type.kind === 'service')
  const ours = services.filter(({ typeName }) => typeName.startsWith('instatunnel.'))
  return ours.flatMap(({ typeName, methods }) =>
    methods.flatMap(({ name, proto: { options } }) => {
      if (!options || !hasExtension(options, extension)) return []
      const rule = getExtension(options, extension) as unknown as HttpRule
      return [rule, ...rule.additionalBindings].map((binding) => bindingOf(`/${typeName}/${name}`, binding))
    }),
  )
}

interface HttpRule {
  readonly body: string
  readonly pattern: { readonly case?: string; readonly value?: unknown }
  readonly additionalBindings: readonly HttpRule[]
}

const METHODS: ReadonlySet<string | undefined> = new Set(['get', 'put', 'post', 'delete', 'patch'])

function bindingOf(rpc: string, { pattern, body }: HttpRule): RestBinding {
  const { case: method, value: template } = pattern
  if (method === undefined || !METHODS.has(method) || typeof template !== 'string')
    throw new Error(`${rpc} has a REST binding without a method and a path`)
  return { rpc, method: method.toUpperCase(), template, body }
}
