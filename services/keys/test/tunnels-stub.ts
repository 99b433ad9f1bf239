import { once } from 'node:events'
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import {
  type CutConnectionsRequest,
  type CutConnectionsResponse,
  type ListTunnelNamesRequest,
  TunnelDirectoryServiceService,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'

/** A stand-in for tunnels: it cuts no connections, and says how many it has cut. */
export interface TunnelsStub {
  readonly address: string
  /** What CutConnections was asked. */
  readonly asked: CutConnectionsRequest[]
  /** The metadata of the last call. */
  readonly lastMetadata: () => Metadata | undefined
  /** What CutConnections answers: a count, an error's code, or nothing ever. */
  cut: number | { code: number } | 'hangs'
  /** What ListTunnelNames and RegenerateTokens were asked; what both answer: tunnels, or an error's code. */
  readonly listed: ListTunnelNamesRequest[]
  readonly regenerated: ListTunnelNamesRequest[]
  tokens: { id: string; name: string }[] | { code: number }
  /** Looked at by CutConnections before it answers. */
  onCut: () => Promise<void>
  /** As onCut, of RegenerateTokens. */
  onRegenerate: () => Promise<void>
  /** How many calls were given up on before they were answered. */
  readonly givenUp: () => number
  close(): Promise<void>
}

/** Serves CutConnections on a free port. */
export async function startTunnelsStub(): Promise<TunnelsStub> {
  const server = new Server()
  let metadata: Metadata | undefined
  let givenUp = 0
  /** Answers with the tunnels, unless it is to fail. */
  const tokens =
    (what: 'listed' | 'regenerated') =>
    (call: ServerUnaryCall<ListTunnelNamesRequest, unknown>, answer: sendUnaryData<unknown>) => {
      stub[what].push(call.request)
      const { tokens } = stub
      if ('code' in tokens) return answer(tokens)
      const answered = { tunnels: tokens, connectionsCut: what === 'regenerated' ? 2 : 0 }
      const ready = what === 'regenerated' ? stub.onRegenerate() : Promise.resolve()
      ready.then(() => answer(null, answered), answer)
    }
  const unimplemented = (_call: unknown, answer: sendUnaryData<unknown>) =>
    answer({ code: status.UNIMPLEMENTED })
  server.addService(TunnelDirectoryServiceService, {
    lookUpToken: unimplemented,
    lookUpTunnel: unimplemented,
    lookUpSubdomains: unimplemented,
    getUsage: unimplemented,
    listTunnelNames: tokens('listed'),
    regenerateTokens: tokens('regenerated'),
    cutConnections: (
      call: ServerUnaryCall<CutConnectionsRequest, CutConnectionsResponse>,
      answer: sendUnaryData<CutConnectionsResponse>,
    ) => {
      stub.asked.push(call.request)
      metadata = call.metadata
      const { cut } = stub
      if (cut === 'hangs') void once(call, 'cancelled').then(() => givenUp++)
      else if (typeof cut === 'object') answer(cut)
      else stub.onCut().then(() => answer(null, { connectionsCut: cut }), answer)
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const stub: TunnelsStub = {
    address: `127.0.0.1:${port}`,
    asked: [],
    lastMetadata: () => metadata,
    cut: 0,
    listed: [],
    regenerated: [],
    tokens: [],
    onCut: async () => {},
    onRegenerate: async () => {},
    givenUp: () => givenUp,
    close: async () => server.forceShutdown(),
  }
  return stub
}
