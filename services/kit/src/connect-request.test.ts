import { describe, expect, it } from 'vitest'
import { connectPath, parseConnectPath } from './connect-request.ts'

const ID = 'tun_01h00000000000000000000000'

describe('a connect path', () => {
  it.each(['', 'mcp'] as const)('is read as it was written, mode %j', (mode) => {
    expect(parseConnectPath(connectPath(ID, { mode }))).toEqual({ tunnelId: ID, mode, faults: [] })
  })

  it('is the documented one', () => {
    expect(connectPath(ID)).toBe(`/v1/tunnels/${ID}/connect`)
    expect(connectPath(ID, { mode: 'mcp' })).toBe(`/v1/tunnels/${ID}/connect?mode=mcp`)
  })

  it.each(['../../v1/auth/user', 'a/b', '?mode=mcp', '#'])('keeps the id %j in its place', (id) => {
    expect(parseConnectPath(connectPath(id))).toMatchObject({ tunnelId: encodeURIComponent(id), mode: '' })
  })

  it.each([
    '',
    '/',
    '/v1/tunnels',
    '/v1/tunnels/connect',
    '/v1/tunnels//connect',
    `/v1/tunnels/${ID}`,
    `/v1/tunnels/${ID}/`,
    `/v1/tunnels/${ID}/connect/`,
    `/v1/tunnels/${ID}/connected`,
    `/v1/tunnels/${ID}/a/connect`,
    `/v1/tunnels/${ID}?/connect`,
    `/v2/tunnels/${ID}/connect`,
    `//v1/tunnels/${ID}/connect`,
    `http://localhost/v1/tunnels/${ID}/connect`,
    '/instatunnel.tunnels.v1.TunnelService/GetTunnel',
  ])('is not %j', (path) => {
    expect(parseConnectPath(path)).toBeUndefined()
  })

  it.each([
    ['', []],
    ['mode=mcp', []],
    ['%6dode=m%63p', []],
    ['mode=', [{ field: 'mode', message: 'must be mcp' }]],
    ['mode', [{ field: 'mode', message: 'must be mcp' }]],
    ['mode=MCP', [{ field: 'mode', message: 'must be mcp' }]],
    ['mode=http', [{ field: 'mode', message: 'must be mcp' }]],
    ['mode=mcp#x', [{ field: 'mode', message: 'must be mcp' }]],
    ['mode=mcp%00', [{ field: 'mode', message: 'must be mcp' }]],
    ['mode=mcp&mode=mcp', [{ field: 'mode', message: 'must stand once' }]],
    ['mode=mcp&mode=', [{ field: 'mode', message: 'must stand once' }]],
    ['Mode=mcp', [{ field: 'Mode', message: 'is no parameter of this call' }]],
    ['mode=mcp&x', [{ field: 'x', message: 'is no parameter of this call' }]],
    ['__proto__=mcp', [{ field: '__proto__', message: 'is no parameter of this call' }]],
  ])('with the query %j has the faults %j', (query, faults) => {
    expect(parseConnectPath(`/v1/tunnels/${ID}/connect?${query}`)).toMatchObject({ tunnelId: ID, faults })
  })
})
