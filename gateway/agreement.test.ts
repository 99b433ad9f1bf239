import { readRestBindings } from '@instatunnel/kit/rest-bindings'
import { createRestRoutes } from '@instatunnel/kit/rest-routes'
import { descriptorsFile } from '@instatunnel/kit/rules'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answers, expectAnswer } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'

/** Auth and the transcoder both find the rpc of a call by its method and path: no call reaches another than auth found. */

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  gateway.auth.check.decide = () => ({ admit: true })
})

const bindings = readRestBindings(descriptorsFile())
const routeOf = createRestRoutes(bindings)

/** The rpc that a call reaches, or the status that it is refused with. */
async function reached(method: string, path: string): Promise<string | number> {
  const services = [gateway.auth, gateway.keys, gateway.tunnels]
  for (const { heard } of services) heard.length = 0
  const { status } = await gateway.call(method, path)
  const [call] = services.flatMap(({ heard }) => heard)
  return call?.rpc ?? status
}

/** The path in spellings that one of the two might take for the same, or for another. */
const spellings = (path: string) => [
  path,
  `${path}/`,
  `${path}?page_size=1`,
  `${path}/?page_size=1`,
  `${path}//`,
  `/${path}`,
  path.toUpperCase(),
  path.replace('/v1/', '/v1/./'),
  path.replace('/v1', '/%761'),
  path.replace(/e/, '%65'),
  path.replace(/s$/, '%73'),
  path.replace(/\/(?=[^/]*$)/, ':'),
  path.replace(/\/(?=[^/]*$)/, '%2f'),
  path.replace(/\/(?=[^/]*$)/, '/;x='),
  `${path}:verify`,
  `${path};x=1`,
  `${path}%00`,
  `${path}%20`,
  `${path}.`,
  `${path}/verify`,
  `${path}/connect`,
]

describe('auth and the transcoder', () => {
  it('find the same rpc by every binding, in any spelling of its path, by any method', async () => {
    let agreed = 0
    for (const { method, template } of bindings) {
      for (const id of ['tun_1', 'verify', 'rotate', 'a:b'])
        for (const path of template.includes('{')
          ? spellings(template.replace(/\{\w+\}/, id))
          : id === 'verify'
            ? spellings(template)
            : [])
          for (const asked of path === template
            ? ['GET', 'POST', 'PATCH', 'PUT', 'DELETE', 'HEAD']
            : [method]) {
            const found = routeOf(asked, path)
            const there = await reached(asked, path)
            // Where auth finds none it refuses. This one here admits even so: no service hears of it.
            if (found.kind === 'rpc') agreed += Number(expectSame(there, found.rpc, `${asked} ${path}`))
            else
              expect(
                found.kind === 'connect' ? [200] : [400, 404, 500],
                `${asked} ${path} → ${there}`,
              ).toContain(there)
          }
    }
    expect(agreed).toBeGreaterThan(300)
  })

  it('let no call pass that they differ about', async () => {
    const other = '/instatunnel.tunnels.v1.TunnelService/DeleteTunnel'
    for (const rpc of [other, '', '/instatunnel.tunnels.v1.TunnelService/ListTunnels/']) {
      gateway.auth.check.decide = () => ({ admit: true, headers: { 'x-instatunnel-rpc': rpc } })
      gateway.tunnels.heard.length = 0
      const headers = { 'x-instatunnel-rpc': '/instatunnel.tunnels.v1.TunnelService/ListTunnels' }
      expectAnswer(await gateway.call('GET', '/v1/tunnels', { headers }), answers.internal)
      expect(gateway.tunnels.heard).toEqual([])
    }
  })
})

function expectSame(there: string | number, rpc: string, call: string): boolean {
  // An odd path is refused before both.
  if (there !== 400) expect(there, call).toBe(rpc)
  return there !== 400
}
