import { describe, expect, it } from 'vitest'
import { mcpEndpoint } from './endpoint.ts'

const site = 'https://docs-demo.example.com'
const server = { name: 'Demo Server!', version: '1', tools: ['add'] }

describe('mcpEndpoint', () => {
  it('is where clients reach the server, and what they are told of it', () => {
    expect(mcpEndpoint(server, { site, transport: 'v2', path: '/mcp' })).toEqual({
      ...server,
      transport: 'v2',
      url: 'https://docs-demo.example.com/mcp',
      configuration: {
        mcpServers: { 'demo-server': { type: 'http', url: 'https://docs-demo.example.com/mcp' } },
      },
    })
    expect(mcpEndpoint(server, { site, transport: 'v1', path: '/a/sse?b' })).toMatchObject({
      url: 'https://docs-demo.example.com/a/sse?b',
      configuration: { mcpServers: { 'demo-server': { type: 'sse' } } },
    })
  })

  it.each([
    ['日本語', 'server'],
    ['', 'server'],
    ['--A  b--', 'a-b'],
  ])('names %j %s in a configuration', (name, key) => {
    const { configuration } = mcpEndpoint({ ...server, name }, { site, transport: 'v2', path: '/' })
    expect(configuration).toMatchObject({ mcpServers: { [key]: {} } })
  })
})
