import type { RestRoute } from '@instatunnel/kit/rest-routes'
import { describe, expect, it } from 'vitest'
import { explainRoute } from './explain-route.ts'

const LIST = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
const LOGIN = '/instatunnel.auth.v1.AuthService/Login'
const LOOK_UP = '/instatunnel.keys.internal.v1.KeyDirectoryService/LookUpKeys'
const rules = new Map([
  [LIST, { kind: 'scope' as const }],
  [LOGIN, { kind: 'public' as const }],
  [LOOK_UP, { kind: 'internal' as const }],
])
const explain = (route: RestRoute, method: string, path: string) =>
  explainRoute(route, { method, path }, rules)
const nothing = (...others: string[]): RestRoute => ({ kind: 'none', others })

describe('explainRoute', () => {
  it('names the rpc that answers, without what was asked for', () => {
    expect(explain({ kind: 'rpc', rpc: LIST }, 'GET', '/v1/tunnels?page_size=3')).toEqual({
      name: 'route',
      passed: true,
      message: 'GET /v1/tunnels is TunnelService.ListTunnels',
    })
  })

  it('tells what is open to everybody, and where agents connect', () => {
    expect(explain({ kind: 'rpc', rpc: LOGIN }, 'POST', '/v1/auth/login')).toMatchObject({
      passed: true,
      message: 'POST /v1/auth/login is open to everybody; no key is looked at',
    })
    expect(explain({ kind: 'connect', tunnelId: 'tun_1' }, 'GET', '/v1/tunnels/tun_1/connect')).toMatchObject(
      {
        passed: true,
        message: 'GET /v1/tunnels/tun_1/connect connects an agent',
      },
    )
  })

  it('stops at what is for services only, however it is reached', () => {
    const refused = { passed: false, message: `POST ${LOOK_UP} is for services of the platform only` }
    expect(explain(nothing(), 'POST', LOOK_UP)).toMatchObject(refused)
    expect(explain({ kind: 'rpc', rpc: LOOK_UP }, 'POST', LOOK_UP)).toMatchObject(refused)
  })

  it('stops where there is nothing, and tells what there is instead', () => {
    expect(explain(nothing(), 'GET', '/v1/nothing')).toMatchObject({
      passed: false,
      message: 'There is no GET /v1/nothing',
    })
    expect(explain(nothing('GET', 'POST'), 'DELETE', '/v1/tunnels')).toMatchObject({
      passed: false,
      message: 'There is no DELETE /v1/tunnels; what is there answers GET, POST',
    })
    expect(explain(nothing(), 'POST', LIST)).toMatchObject({
      passed: false,
      message: `There is no POST ${LIST}`,
    })
  })
})
