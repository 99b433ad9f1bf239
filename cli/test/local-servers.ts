import { createServer, type RequestListener, type Server } from 'node:http'
import {
  type AddressInfo,
  createServer as createRawServer,
  type Server as RawServer,
  type Socket,
} from 'node:net'
import { onTestFinished } from 'vitest'

/** A server on a port of its own, for this test. */
export interface Local<S> {
  readonly server: S
  readonly port: number
}

/** An HTTP server of Node's. */
export async function startHttp(onRequest: RequestListener, host = '127.0.0.1'): Promise<Local<Server>> {
  const server = createServer(onRequest)
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { server, port: await listening(server, host) }
}

/** A server that answers connections with whatever bytes it likes. */
export async function startRaw(onSocket: (socket: Socket, nth: number) => void): Promise<Local<RawServer>> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createRawServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket, ++connections)
  })
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { server, port: await listening(server, '127.0.0.1') }
}

/** A port that nothing listens on. */
export async function unusedPort(): Promise<number> {
  const server = createRawServer()
  const port = await listening(server, '127.0.0.1')
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function listening(server: RawServer, host: string): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return (server.address() as AddressInfo).port
}
