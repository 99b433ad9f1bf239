import { Server, ServerCredentials } from '@grpc/grpc-js'
import { TunnelServiceService } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { HealthImplementation } from 'grpc-health-check'

/** The body that GET /v1/tunnels ends in, behind the gateway. */
export const answeredBytes = '{"tunnels":[],"next_page_token":""}'.length

/** What chains end in: tunnels on grpc-js that answers with an empty list, in a process of its own: `backend.ts PORT`. */
if (import.meta.main) {
  const server = new Server({ 'grpc.enable_channelz': 0 })
  server.addService(
    TunnelServiceService,
    Object.fromEntries(Object.keys(TunnelServiceService).map((name) => [name, answerEmpty])),
  )
  new HealthImplementation({ '': 'SERVING' }).addToServer(server)
  server.bindAsync(`127.0.0.1:${process.argv[2]}`, ServerCredentials.createInsecure(), (error) => {
    if (error) throw error
  })
}

function answerEmpty(_: unknown, answer: (error: null, response: object) => void): void {
  answer(null, { tunnels: [], nextPageToken: '' })
}
