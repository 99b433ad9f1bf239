import { Server, ServerCredentials } from '@grpc/grpc-js'
import { AuthorizationService } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { TunnelServiceService } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { HealthImplementation } from 'grpc-health-check'

/**
 * What the chain is compared with: an ext_authz that admits everything and a backend that answers with an empty list,
 * on grpc-js, in a process of its own. Prints its port.
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
server.addService(TunnelServiceService, {
  ...Object.fromEntries(Object.keys(TunnelServiceService).map((name) => [name, answerEmpty])),
})
new HealthImplementation({ '': 'SERVING' }).addToServer(server)
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error
  process.stdout.write(`${port}\n`)
})
process.stdin.on('end', () => process.exit()).resume()

var admitted = {
  headers: [],
  headersToRemove: [],
  responseHeadersToAdd: [],
  queryParametersToSet: [],
  queryParametersToRemove: [],
  dynamicMetadata: undefined,
}

function answerEmpty(_: unknown, answer: (error: null, response: object) => void): void {
  answer(null, { tunnels: [], nextPageToken: '' })
}
