import { describe, expect, it } from 'vitest'
import { readRestBindings } from './rest-bindings.ts'
import { descriptorsFile, readRules } from './rules.ts'

const bindings = readRestBindings(descriptorsFile())

describe('readRestBindings', () => {
  it('reads method and path of each rpc, additional ones too', () => {
    expect(bindings).toContainEqual({
      rpc: '/instatunnel.keys.v1.ApiKeyService/GetKey',
      method: 'GET',
      template: '/v1/auth/keys/{id}',
      body: '',
    })
    const create = bindings.filter(({ rpc }) => rpc === '/instatunnel.keys.v1.ApiKeyService/CreateKey')
    expect(create.map(({ method, template, body }) => `${method} ${template} ${body}`)).toEqual([
      'POST /v1/auth/keys *',
      'POST /v1/api-keys *',
    ])
  })

  it('finds each rpc that users call, and none that is internal', () => {
    const bound = new Set(bindings.map(({ rpc }) => rpc))
    for (const [rpc, { kind }] of readRules(descriptorsFile()))
      expect(bound.has(rpc), rpc).toBe(kind !== 'internal')
  })
})
