import { describe, expect, it } from 'vitest'
import { readRestBindings } from './rest-bindings.ts'
import { createRestRoutes } from './rest-routes.ts'
import { descriptorsFile } from './rules.ts'

const routeOf = createRestRoutes(readRestBindings(descriptorsFile()))
const rpc = (name: string) => ({ kind: 'rpc', rpc: `/instatunnel.${name}` })
const none = (...others: string[]) => ({ kind: 'none', others })

describe('the routes of the REST API', () => {
  it.each([
    ['GET', '/v1/tunnels', 'tunnels.v1.TunnelService/ListTunnels'],
    ['GET', '/v1/tunnels?page_size=2', 'tunnels.v1.TunnelService/ListTunnels'],
    ['GET', '/v1/tunnels/', 'tunnels.v1.TunnelService/ListTunnels'],
    ['GET', '/v1/tunnels/tun_1', 'tunnels.v1.TunnelService/GetTunnel'],
    ['DELETE', '/v1/tunnels/tun_1', 'tunnels.v1.TunnelService/DeleteTunnel'],
    ['POST', '/v1/tunnels/tun_1/regenerate-token', 'tunnels.v1.TunnelService/RegenerateToken'],
    ['POST', '/v1/auth/register', 'auth.v1.AuthService/Register'],
    ['PATCH', '/v1/admin/users/user_1', 'auth.v1.AdminService/UpdateUser'],
    // Additional bindings.
    ['GET', '/v1/user/profile', 'auth.v1.AuthService/GetUser'],
    ['POST', '/v1/api-keys', 'keys.v1.ApiKeyService/CreateKey'],
    // Literal before variable, and the method counts: there is no DELETE of what is verified with.
    ['POST', '/v1/auth/keys/verify', 'keys.v1.ApiKeyService/VerifyKey'],
    ['GET', '/v1/auth/keys/verify', 'keys.v1.ApiKeyService/GetKey'],
    ['DELETE', '/v1/auth/keys/key_1/rotate', 'keys.v1.ApiKeyService/EndGracePeriod'],
  ])('take %s %s to %s', (method, path, name) => expect(routeOf(method, path)).toEqual(rpc(name)))

  it('know where agents connect, by GET alone', () => {
    const connect = { kind: 'connect', tunnelId: 'tun_1' }
    expect(routeOf('GET', '/v1/tunnels/tun_1/connect')).toEqual(connect)
    expect(routeOf('GET', '/v1/tunnels/tun_1/connect?mode=mcp')).toEqual(connect)
    expect(routeOf('POST', '/v1/tunnels/tun_1/connect')).toEqual(none())
    expect(routeOf('GET', '/v1/tunnels/tun_1/connect/')).toEqual(none())
  })

  it('lead nowhere else, and tell which methods a path has', () => {
    expect(routeOf('DELETE', '/v1/tunnels')).toEqual(none('GET', 'POST'))
    expect(routeOf('PUT', '/v1/auth/keys/key_1')).toEqual(none('DELETE', 'GET', 'PATCH'))
    for (const path of [
      '',
      '/',
      'v1/tunnels',
      '/v1',
      '/v1/tunnels/tun_1/x',
      '/V1/tunnels',
      '/v1/tunnels//stats',
      '/v1/%74unnels',
      '/v1/tunnels/{id}/stats/x',
      '/instatunnel.keys.v1.ApiKeyService/ListKeys',
      '/instatunnel.keys.internal.v1.KeyDirectoryService/LookUpKeys',
    ])
      expect(routeOf('GET', path), path).toEqual(none())
  })

  it('prefer what is literal where templates part, in whatever order they come', () => {
    const bindings = ['/a/{b}/c', '/a/b/{c}', '/{a}/b/c', '/a/b/c'].map((template) => ({
      rpc: template,
      method: 'GET',
      template,
      body: '',
    }))
    for (const order of [bindings, bindings.toReversed()]) {
      const find = createRestRoutes(order)
      expect(find('GET', '/a/b/c')).toEqual({ kind: 'rpc', rpc: '/a/b/c' })
      expect(find('GET', '/a/b/x')).toEqual({ kind: 'rpc', rpc: '/a/b/{c}' })
      expect(find('GET', '/a/x/c')).toEqual({ kind: 'rpc', rpc: '/a/{b}/c' })
      expect(find('GET', '/x/b/c')).toEqual({ kind: 'rpc', rpc: '/{a}/b/c' })
    }
  })
})
