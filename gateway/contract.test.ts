import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFileRegistry, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema, file_google_protobuf_any } from '@bufbuild/protobuf/wkt'
import { descriptorsFile } from '@instatunnel/kit/rules'
import { describe, expect, it, onTestFinished } from 'vitest'
import { contractFile } from './contract.ts'
import { luaTable } from './lua-table.ts'

/** The contract, with a change to the request of PATCH /v1/auth/user. */
async function contractWith(change: (request: DescMessage['proto']) => void): Promise<string> {
  const set = fromBinary(FileDescriptorSetSchema, readFileSync(descriptorsFile()))
  set.file.unshift(file_google_protobuf_any.proto)
  const request = createFileRegistry(set).getMessage('instatunnel.auth.v1.UpdateUserRequest')
  if (!request) throw new Error('the contract has no such request')
  change(request.proto)
  const folder = await mkdtemp(join(tmpdir(), 'contract-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'descriptors.binpb')
  await writeFile(file, toBinary(FileDescriptorSetSchema, set))
  return contractFile(file)
}

describe('contractFile', () => {
  it('tells of each request which fields it has, and of which types', async () => {
    expect(contractFile(descriptorsFile())).toContain(
      '["instatunnel.auth.v1.UpdateUserRequest"]={' +
        '{["name"]="name",["json"]="name",["kind"]="scalar"},' +
        '{["name"]="username",["json"]="username",["kind"]="scalar"},' +
        '{["name"]="update_mask",["json"]="updateMask",["kind"]="mask"}}',
    )
  })

  it('knows no request with a type that the gateway cannot bound', async () => {
    for (const type of ['Any', 'DescriptorProto', 'DescriptorProto.ExtensionRange']) {
      const changed = contractWith(({ field }) => {
        for (const each of field) if (each.typeName !== '') each.typeName = `.google.protobuf.${type}`
      })
      await expect(changed, type).rejects.toThrow(/must not hold google\.protobuf\./)
    }
  })

  it('holds no internal rpc and no answer', () => {
    const lua = contractFile(descriptorsFile())
    expect(lua).not.toContain('internal')
    expect(lua).not.toMatch(/Response"\]=/)
  })
})

describe('luaTable', () => {
  it('writes names, lists and objects, and nothing that could be code', () => {
    expect(luaTable({ a: ['b/c', true], 'd.e': {}, gone: undefined })).toBe('{["a"]={"b/c",true},["d.e"]={}}')
    for (const text of ['"', '\\', '\n', ']]', 'a b']) expect(() => luaTable([text])).toThrow()
  })
})
