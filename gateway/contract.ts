import { readFileSync } from 'node:fs'
import {
  createFileRegistry,
  type DescExtension,
  type DescField,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  getExtension,
  hasExtension,
} from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { type RestBinding, readRestBindings } from '@instatunnel/kit/rest-bindings'
import { luaTable } from './lua-table.ts'

/** Which values a field takes, as fields.lua knows them. */
interface FieldType {
  readonly kind: 'scalar' | 'mask' | 'time' | 'duration' | 'struct' | 'list' | 'value' | 'map' | 'message'
  /** The message's full name, of kind "message". */
  readonly message?: string
  /** What a map holds. */
  readonly of?: FieldType
}

/** A place in the tree of paths. */
interface PathNode {
  /** By method, what answers here. */
  readonly calls: Record<string, { readonly message: string; readonly path: readonly string[] }>
  /** By the segment that follows. */
  readonly literal: Record<string, PathNode>
  /** Where any segment follows. */
  variable?: PathNode
}

/** Types of google.protobuf that are no plain messages in JSON. Any is none of them: see typeOfMessage. */
const wellKnown: Readonly<Record<string, FieldType['kind']>> = {
  FieldMask: 'mask',
  Timestamp: 'time',
  Duration: 'duration',
  Struct: 'struct',
  ListValue: 'list',
  Value: 'value',
  ...Object.fromEntries(
    ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map((type) => [
      `${type}Value`,
      'scalar',
    ]),
  ),
}

/**
 * What request.lua knows of the contract, as a Lua module: which request each method and path takes, and the fields of
 * each. It is made from the descriptor set that the transcoder reads, so the two cannot differ.
 */
export function contractFile(descriptors: string): string {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)))
  const root: PathNode = { calls: {}, literal: {} }
  const messages = new Map<string, object>()
  for (const binding of readRestBindings(descriptors)) {
    const request = requestOf(registry, binding.rpc)
    addCall(root, binding, request)
    addMessage(messages, request, registry.getExtension('instatunnel.rest.v1.when_empty'))
  }
  return `return ${luaTable({ paths: root, messages: Object.fromEntries(messages) })}\n`
}

function requestOf(registry: FileRegistry, rpc: string): DescMessage {
  const [, service = '', name] = rpc.split('/')
  const method = registry.getService(service)?.methods.find((each) => each.name === name)
  if (!method) throw new Error(`${rpc} is not in the descriptor set`)
  return method.input
}

function addCall(root: PathNode, { rpc, method, template, body }: RestBinding, request: DescMessage) {
  // The transcoder reads the body of a call that declares none into the request as well.
  if (body !== '*' && body !== '') throw new Error(`${rpc}: request.lua knows no body but "*"`)
  const path: string[] = []
  let node = root
  for (const segment of template.split('/').slice(1)) {
    const variable = /^\{(\w+)\}$/.exec(segment)?.[1]
    if (variable) {
      path.push(variable)
      node.variable ??= { calls: {}, literal: {} }
      node = node.variable
    } else {
      if (!/^[\w.-]+$/.test(segment)) throw new Error(`${rpc}: request.lua cannot match "${segment}"`)
      node.literal[segment] ??= { calls: {}, literal: {} }
      node = node.literal[segment]
    }
  }
  node.calls[method] = { message: request.typeName, path, ...(body === '*' ? { body: true } : {}) }
}

function addMessage(
  messages: Map<string, object>,
  { typeName, fields }: DescMessage,
  whenEmpty: DescExtension | undefined,
) {
  if (messages.has(typeName)) return
  const described: object[] = []
  messages.set(typeName, described)
  for (const field of fields) {
    const { options } = field.proto
    described.push({
      name: field.name,
      json: field.jsonName,
      ...typeOfField(field),
      ...(field.fieldKind === 'list' ? { repeated: true } : {}),
      ...(whenEmpty && options && hasExtension(options, whenEmpty)
        ? { when_empty: getExtension(options, whenEmpty) }
        : {}),
    })
    if (field.message && typeOfMessage(field.message).kind === 'message')
      addMessage(messages, field.message, whenEmpty)
  }
}

function typeOfField(field: DescField): FieldType {
  if (field.fieldKind === 'map')
    return { kind: 'map', of: field.message ? typeOfMessage(field.message) : { kind: 'scalar' } }
  return field.message ? typeOfMessage(field.message) : { kind: 'scalar' }
}

function typeOfMessage({ typeName }: DescMessage): FieldType {
  const [, name] = /^google\.protobuf\.(.+)$/.exec(typeName) ?? []
  if (name === undefined) return { kind: 'message', message: typeName }
  const kind = wellKnown[name]
  // Any names the type of what it holds, so its fields could not be known here. Empty says nothing.
  if (kind === undefined) throw new Error(`a request must not hold ${typeName}`)
  return { kind }
}
