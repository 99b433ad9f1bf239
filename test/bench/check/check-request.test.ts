import { once } from 'node:events'
import { request } from 'node:http'
import { type Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
import { AuthorizationService, CheckRequest } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { HealthImplementation } from 'grpc-health-check'
import { afterAll, expect, it } from 'vitest'
import { startGateway } from '../idle/gateway.ts'
import { checkHeaders, checkRequest } from './check-request.ts'

const bearer = 'it_0123456789abcdef'
const closing = new AsyncDisposableStack()
afterAll(() => closing.disposeAsync())

/** What differs from one call to the other. */
function withoutChance(check: CheckRequest) {
  const { source, destination, request, ...rest } = check.attributes ?? {}
  return { ...rest, http: { ...request?.http, id: '' } }
}

it('a Check is asked as the gateway asks it, but for what differs each time', async () => {
  const met = Promise.withResolvers<{ request: CheckRequest; metadata: Metadata }>()
  const server = new Server()
  server.addService(AuthorizationService, {
    check(call: { request: CheckRequest; metadata: Metadata }, answer: (error: object) => void) {
      met.resolve(call)
      answer({ code: 14 })
    },
  })
  new HealthImplementation({ '': 'SERVING' }).addToServer(server)
  const port = await new Promise<number>((resolve) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
  )
  closing.defer(() => server.forceShutdown())
  const envoy = await startGateway({ check: port, tunnels: port })
  closing.defer(async () => void (await envoy.stop()))

  const headers = { host: 'localhost', authorization: `Bearer ${bearer}` }
  const sent = request({ host: '127.0.0.1', port: envoy.port, path: '/v1/tunnels', headers }).end()
  const [answer] = await once(sent, 'response')
  answer.resume()

  const asked = await met.promise
  expect(withoutChance(asked.request)).toEqual(withoutChance(CheckRequest.decode(checkRequest(bearer))))
  const told = Object.keys(asked.metadata.getMap())
  expect(Object.keys(checkHeaders)).toEqual(expect.arrayContaining(told))
})
