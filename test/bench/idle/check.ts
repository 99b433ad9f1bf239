import { Server, ServerCredentials } from '@grpc/grpc-js'
import { AuthorizationService } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { HealthImplementation } from 'grpc-health-check'

const header = (key: string, value: string) => ({
  header: { key, value, rawValue: Buffer.alloc(0) },
  append: undefined,
  appendAction: 2,
  keepEmptyValue: false,
})

/** As long as what auth answers with, about the one rpc that the bench calls. */
const admitted = {
  headers: [
    header('x-instatunnel-identity', 'i'.repeat(600)),
    header('x-instatunnel-rpc', '/instatunnel.tunnels.v1.TunnelService/ListTunnels'),
  ],
  headersToRemove: [],
  responseHeadersToAdd: [],
  queryParametersToSet: [],
  queryParametersToRemove: [],
  dynamicMetadata: undefined,
}

/**
 * What auth is compared with: a Check on grpc-js that admits everything with one header, as long as an identity, in a
 * process of its own: `check.ts PORT`.
 */
const server = new Server({ 'grpc.enable_channelz': 0 })
server.addService(AuthorizationService, {
  check: (_: unknown, answer: (error: null, response: object) => void) =>
    answer(null, {
      status: { code: 0, message: '', details: [] },
      httpResponse: { $case: 'okResponse', value: admitted },
      dynamicMetadata: undefined,
    }),
})
new HealthImplementation({ '': 'SERVING' }).addToServer(server)
server.bindAsync(`127.0.0.1:${process.argv[2]}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error
})
