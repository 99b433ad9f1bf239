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
async function reached({ method, path }: Asked): Promise<string | number> {
  const { status } = await gateway.call(method, path)
  const call = [gateway.auth, gateway.keys, gateway.tunnels]
    .flatMap(({ heard }) => heard)
    .find(
      ({ metadata }) =>
        metadata['x-envoy-original-path'] === path && metadata['x-envoy-original-method'] === method,
    )
  return call?.rpc ?? status
}

interface Asked {
  readonly method: string
  readonly path: string
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

/** Every binding in every spelling, and every path of the contract by every method: each once. */
function everyCall(): Asked[] {
  const calls = bindings.flatMap(({ method, template }) =>
    ['tun_1', 'verify', 'a:b'].flatMap((id) => {
      const path = template.replace(/\{\w+\}/, id)
      const byMethods = ['GET', 'POST', 'PATCH', 'PUT', 'DELETE', 'HEAD'].map((other) => ({
        method: other,
        path,
      }))
      return [...byMethods, ...spellings(path).map((spelled) => ({ method, path: spelled }))]
    }),
  )
  return [...new Map(calls.map((call) => [`${call.method} ${call.path}`, call])).values()]
}

describe('auth and the transcoder', () => {
  it('find the same rpc by every binding, in any spelling of its path, by any method', async () => {
    const calls = everyCall()
    let agreed = 0
    const ask = async () => {
      for (let call = calls.pop(); call; call = calls.pop()) {
        const { method, path } = call
        const found = routeOf(method, path)
        const there = await reached(call)
        // Where auth finds none it refuses. This one here admits even so: no service hears of it.
        if (found.kind !== 'rpc')
          expect(
            found.kind === 'connect' ? [200] : [400, 404, 500],
            `${method} ${path} → ${there}`,
          ).toContain(there)
        // An odd path is refused before both.
        else if (there !== 400) {
          expect(there, `${method} ${path}`).toBe(found.rpc)
          agreed++
        }
      }
    }
    await Promise.all(Array.from({ length: 8 }, ask))
    expect(agreed).toBeGreaterThan(300)
  }, 60_000)

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
