import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  clearExtension,
  create,
  createFileRegistry,
  fromBinary,
  setExtension,
  toBinary,
} from '@bufbuild/protobuf'
import { FileDescriptorSetSchema, MethodOptionsSchema } from '@bufbuild/protobuf/wkt'
import { descriptorsFile } from '@instatunnel/kit/rules'
import { onTestFinished } from 'vitest'

/** A rule as a proto file declares it; null for none at all. */
export type DeclaredRule = {
  scope?: string
  limit?: string
  public?: boolean
  internal?: string[]
  safe?: boolean
} | null

/**
 * The generated descriptor set with other rules on some rpcs, by full method ("/instatunnel.keys.v1.ApiKeyService/ListKeys"),
 * as a file that goes after the test.
 */
export async function descriptorsWith(rules: Readonly<Record<string, DeclaredRule>>): Promise<string> {
  const set = fromBinary(FileDescriptorSetSchema, readFileSync(descriptorsFile()))
  const registry = createFileRegistry(set)
  const extension = registry.getExtension('instatunnel.access.v1.rule')
  if (!extension?.message) throw new Error('the descriptor set does not declare the rule')
  for (const [path, rule] of Object.entries(rules)) {
    const [, service = '', name = ''] = path.split('/')
    const method = registry.getService(service)?.methods.find((candidate) => candidate.name === name)
    if (!method) throw new Error(`there is no ${path}`)
    method.proto.options ??= create(MethodOptionsSchema)
    clearExtension(method.proto.options, extension)
    if (rule) setExtension(method.proto.options, extension, create(extension.message, rule) as never)
  }
  const folder = await mkdtemp(join(tmpdir(), 'instatunnel-descriptors-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'descriptors.binpb')
  await writeFile(file, toBinary(FileDescriptorSetSchema, set))
  return file
}
